"""The text table of the listings."""

import contextlib
import os
import pty
import re
import subprocess
import sys

from steering.cli.table import table
from tests.support.controller_process import ROOT


def test_columns_are_as_wide_as_their_widest_cell_and_numbers_stand_right() -> None:
    text = table(["name", "sessions", "load"], [["core", 7, 0.25], ["edge of town", 12345, None]])
    assert text.split("\n") == [
        "name          sessions  load",
        "------------  --------  ----",
        "core                 7   0.2",
        "edge of town     12345     -",
    ]


def test_truth_and_nothing() -> None:
    assert table(["backup"], [[True], [False], [None]]).split("\n")[2:] == ["yes", "no", "-"]


def test_no_rows() -> None:
    assert table(["a", "bcd"], []) == "a  bcd\n-  ---"


def test_on_a_terminal_it_is_drawn_within_its_width_and_brackets_are_text() -> None:
    """A pseudo-terminal of 40 columns: rich draws, and what is longer is folded, not cut."""
    words = "print(table(['name', 'n'], [['[bold]core[/bold]', 7], ['x' * 60, 12]]))"
    terminal, end = pty.openpty()
    environment = os.environ | {"COLUMNS": "40", "TERM": "xterm", "PYTHONPATH": str(ROOT)}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-c", f"from steering.cli.table import table; {words}"]
    done = subprocess.run(
        command, stdout=end, stderr=subprocess.PIPE, env=environment, timeout=60, check=False
    )
    os.close(end)
    drawn = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(terminal, 4096):
            drawn += piece
    os.close(terminal)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in drawn.decode().split("\r\n")]
    assert "\x1b[1m" in drawn.decode() and "\u2500" in lines[1] and max(map(len, lines)) <= 40
    assert any(line.split() == ["[bold]core[/bold]", "7"] for line in lines)
    assert "".join(lines).count("x") == 60
