"""Starts the labs that the collected tests are about, when the first test of this folder comes up."""

from collections.abc import Iterator

import pytest

from tests.lab.pool import Pool, Wanted
from tests.lab.running import Ran


def wanted_by(item: pytest.Item) -> Wanted | None:
    """What the marker `lab` says."""
    marker = item.get_closest_marker("lab")
    return Wanted(marker.args, **marker.kwargs) if marker else None


@pytest.fixture(scope="session")
def pool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """All labs of this run, on their way."""
    found = Pool(tmp_path_factory.mktemp("labs"), request.config.getoption("--lab-jobs"))
    found.start(one for item in request.session.items if (one := wanted_by(item)))
    try:
        yield found
    finally:
        found.end()


@pytest.fixture(autouse=True)
def _labs_are_on_their_way(pool: Pool) -> None:
    """The first test of this folder starts them all, also one that wants none."""


@pytest.fixture
def ran(request: pytest.FixtureRequest, pool: Pool) -> Ran:
    """The lab that the test's marker names, over and done."""
    one = wanted_by(request.node)
    assert one is not None, "a test that takes `ran` says @pytest.mark.lab(NAME, OPTION...)"
    found = pool.result(one)
    print(f"steering lab run {' '.join(one.words)}: {found.seconds:.0f} s\n{found.said}")
    return found
