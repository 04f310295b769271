"""DSCP through a real MCP, by capture."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("N-5.6.5a", "N-5.6.5b")
def test_dscp_is_carried_over_on_both_legs_both_ways(tmp_path: Path) -> None:
    assert_held(*run_lab(tmp_path, "dscp"))
