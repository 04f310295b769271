"""An MCP dies on real kernels: who lived there is told, and what is new goes elsewhere. Two ways to die, and an abort."""

import pytest

from tests.lab.running import Ran

DEATHS = ("frozen (SIGSTOP)", "host gone")


@pytest.mark.row("D-6.7.1")
@pytest.mark.lab("mcp-death", "--sessions", str(len(DEATHS)), alone=True)
def test_hosts_and_servers_are_told_and_new_sessions_go_elsewhere(ran: Ran) -> None:
    assert ran.failed() == [], ran.said
    for name in (*DEATHS, "aborted"):
        told = ran.report["figures"][name]
        assert None not in (*told["told_s"].values(), told["server_told_s"])
