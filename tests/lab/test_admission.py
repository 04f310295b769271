"""Limits, ingress filters and rules on real kernels, by what they keep out."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.3f", "D-6.4i", "N-7.2b", "N-7.2a", "N-5.3e", "N-5.6.6c", "D-6.7.1")
@pytest.mark.lab("admission")
def test_what_is_over_limits_spoofed_or_from_outside_reaches_no_mcp(ran: Ran) -> None:
    assert_held(ran)
