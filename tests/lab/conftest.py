"""The labs that the collected tests are about."""

import pytest

from tests.lab.pool import POOL, Wanted
from tests.lab.running import Ran


@pytest.fixture
def ran(request: pytest.FixtureRequest) -> Ran:
    """The lab that the test's marker names, over and done."""
    one = Wanted.by(request.node)
    assert one is not None, "a test that takes `ran` says @pytest.mark.lab(NAME, OPTION...)"
    found = request.config.stash[POOL].result(one)
    print(f"steering lab run {' '.join(one.words)}: {found.seconds:.0f} s\n{found.said}")
    return found
