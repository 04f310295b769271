"""Entries set ahead, with real kernels. What it is without each protection `make labs` shows."""

from pathlib import Path

import pytest

from tests.lab.running import assert_held, run_lab


@pytest.mark.row("S-18", "D-4.d", "D-6.7.1")
def test_no_syn_waits_and_every_join_finds_its_session(tmp_path: Path) -> None:
    status, report = run_lab(tmp_path, "proactive")
    assert_held(status, report)
    assert set(report["figures"]["set_up_ms"]) == {"reactive", "proactive"}
