"""What no MCP may take passes by byte for byte, by capture; and a real TCP-MD5 session."""

import pytest

from tests.lab.running import Ran, assert_held


@pytest.mark.row("D-6.7.3", "D-6.7.4", "D-6.7.6", "N-7.4")
@pytest.mark.lab("md5-ao")
def test_signed_unknown_and_full_option_space_pass_by(ran: Ran) -> None:
    assert_held(ran)
