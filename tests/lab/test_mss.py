"""The segment size through a real MCP, by capture and by a router's own count of fragments."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("D-6.7.5a", "D-6.7.5b", "N-5.6.4")
def test_no_fragments_on_a_narrow_path_unless_policy_says_so(tmp_path: Path) -> None:
    assert_held(*run_lab(tmp_path, "mss"))
