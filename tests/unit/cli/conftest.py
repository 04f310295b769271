"""A controller whose northbound is real, over a view of 2,500 sessions that stays as it is."""

from collections.abc import Iterator
from pathlib import Path
from wsgiref.validate import validator

import pytest

from steering.store import credentials
from tests.support.fixed_view import TOKEN, FixedView, served
from tests.support.rest_server import serve


@pytest.fixture
def view() -> FixedView:
    return FixedView(2500)


@pytest.fixture
def state_dir(tmp_path: Path, view: FixedView) -> Iterator[Path]:
    """The state directory of a running controller."""
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    (path / "token").write_text(TOKEN + "\n")
    for url in serve(validator(served(view))):
        credentials.write_rest_url(path, url)
        yield path
