"""Three controllers on the real kernel, of which one is cut off: whoever may write decides, and hosts hardly notice."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.7.1", "D-6.2c")
@pytest.mark.lab("cluster-partition", "--sessions", "18")
def test_sessions_and_joins_outlive_each_cut_and_the_one_that_is_cut_off_writes_nothing(ran: Ran) -> None:
    assert_held(ran)
