"""Attachments that are a port and a tag, through trunks of a real Open vSwitch and kernels."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-F3", "D-1.a")
@pytest.mark.lab("vlans")
def test_two_tags_of_one_port_are_two_accesses_and_a_tag_of_nobody_is_refused_and_counted(ran: Ran) -> None:
    assert_held(ran)
