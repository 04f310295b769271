"""What no MCP may take passes by byte for byte, by capture; and a real TCP-MD5 session."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("D-6.7.3", "D-6.7.4", "D-6.7.6", "N-7.4")
def test_signed_unknown_and_full_option_space_pass_by(tmp_path: Path) -> None:
    assert_held(*run_lab(tmp_path, "md5-ao"))
