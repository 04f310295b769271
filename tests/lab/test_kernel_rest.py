"""What Linux does with MPTCP beside the usual, on the real kernel."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.2c", "D-6.3f", "D-6.4i", "N-7.2b")
@pytest.mark.lab("kernel-rest")
def test_checksums_data_in_syns_ids_used_again_and_many_addresses_are_pinned_and_bounded(ran: Ran) -> None:
    assert_held(ran)
    assert ran.report["figures"]["checksums"]["segments"] > 0
