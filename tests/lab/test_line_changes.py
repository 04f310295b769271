"""A CPE's lines change while a home goes on, on real kernels: what applications notice of it."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("N-5.2.2.1a", "D-1.c")
@pytest.mark.lab("line-changes", alone=True)
def test_nobody_waits_a_second_for_a_line_that_changes(ran: Ran) -> None:
    assert_held(ran)
    cases = ("renewal", "cable", "dead line")
    assert not any(ran.report["figures"][case]["told_of_an_error"] for case in cases)
