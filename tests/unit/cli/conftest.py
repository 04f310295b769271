"""A controller whose northbound is real, over a view of 2,500 sessions that stays as it is."""

from collections.abc import Iterator
from pathlib import Path
from wsgiref.validate import validator

import pytest

from steering.cli.main import main
from tests.support.commands import Run
from tests.support.fixed_view import FixedView, served
from tests.support.rest_server import state_directory


@pytest.fixture
def view() -> FixedView:
    return FixedView(2500)


@pytest.fixture
def state_dir(tmp_path: Path, view: FixedView) -> Iterator[Path]:
    """The state directory of a running controller."""
    yield from state_directory(tmp_path / "state", validator(served(view)))


@pytest.fixture
def run(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command against the controller of `state_dir`."""

    def command(*words: str) -> str:
        status = main([*words, "--state-dir", str(state_dir)])
        out, err = capsys.readouterr()
        assert (status, err) == (0, ""), err
        return out

    return command
