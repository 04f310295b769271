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


def drawn_on_a_terminal(code: str, **environment: str) -> str:
    """What a program prints on a pseudo-terminal of 40 columns."""
    terminal, end = pty.openpty()
    known = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    done = subprocess.run(
        [sys.executable, "-c", f"from steering.cli.table import table; {code}"],
        stdout=end,
        stderr=subprocess.PIPE,
        env=known | {"COLUMNS": "40", "TERM": "xterm", "PYTHONPATH": str(ROOT)} | environment,
        timeout=60,
        check=False,
    )
    os.close(end)
    drawn = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(terminal, 4096):
            drawn += piece
    os.close(terminal)
    assert (done.returncode, done.stderr) == (0, b"")
    return drawn.decode()


def test_on_a_terminal_it_is_drawn_within_its_width_and_brackets_are_text() -> None:
    """rich draws, and what is longer is folded, not cut."""
    words = "print(table(['name', 'n'], [['[bold]core[/bold]', 7], ['x' * 60, 12]]))"
    drawn = drawn_on_a_terminal(words)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in drawn.split("\r\n")]
    assert "\x1b[1m" in drawn and "\u2500" in lines[1] and max(map(len, lines)) <= 40
    assert any(line.split() == ["[bold]core[/bold]", "7"] for line in lines)
    assert "".join(lines).count("x") == 60


def test_who_wants_no_colour_gets_none() -> None:
    drawn = drawn_on_a_terminal("print(table(['name'], [['core']]))", NO_COLOR="1")
    assert "core" in drawn and "\x1b" not in drawn
