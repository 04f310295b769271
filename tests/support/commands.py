"""What a command of `steering` printed, and how it failed."""

from collections.abc import Callable

import pytest

from steering.cli.main import main
from tests.support.fixed_view import TOKEN

Run = Callable[..., str]
"""Runs a command with these words, which must not fail, and returns what it printed."""


def failing(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Status and the one line on stderr of a command that must fail."""
    try:
        status = main(list(words))
    except SystemExit as ended:  # bad usage
        status = int(str(ended.code))
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert TOKEN not in err
    return status, err


def cells(out: str, first: str) -> list[str]:
    """The words of the line that starts with `first`."""
    (line,) = [line for line in out.splitlines() if line.split()[:1] == [first]]
    return line.split()
