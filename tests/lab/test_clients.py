"""Programs that nobody here wrote, through an off-path MCP."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("D-3.1a", "S-21")
def test_debians_own_programs_use_both_accesses(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "clients")
    assert_held(status, report)
    assert {"curl", "iperf3-up", "iperf3-down", "ssh", "scp", "git", "curl-haproxy"} <= report[
        "figures"
    ].keys()
