"""Proofs of joins and clean aborts against the real kernel, which knows nothing of either."""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from topologies.kit.lab import Lab, ofctl, running
from topologies.kit.report import Progress
from topologies.networks.off_path import PLAN

POLICY = """policy: 1
keep_keys: true
rules:
  - name: prove
    then: {action: proxy, authentication: hmac}
"""
PORT = PLAN.services[0]


def _until(true: Callable[[], object]) -> bool:
    limit = time.monotonic() + 30
    while not true() and time.monotonic() < limit:
        time.sleep(0.1)
    return bool(true())


def _open(lab: Lab, group: str) -> str:
    """A connection that joined over the second access; its session's id."""
    lab.mark()
    known = _sessions(lab)
    asked = lab.agents["ue"].ask("open", group=group, dst="10.9.0.2", ports=[PORT], mptcp=True, first=True)
    assert "error" not in asked["opened"][0], asked
    assert _until(lambda: lab.counted("ue").get("MPJoinSynAckRx")), lab.counted("ue")
    echoed = lab.agents["ue"].ask("echo", group=group)
    assert (echoed["asked"], echoed["failed"]) == (1, [])
    (new,) = _sessions(lab) - known
    return str(new)


def _sessions(lab: Lab) -> set[str]:
    return {row["id"] for row in lab.controller.get("/v1/sessions?limit=100")["sessions"]}


def _delete(lab: Lab, session: str) -> int:
    state = lab.record.directory / "controller"
    request = urllib.request.Request(
        f"http://127.0.0.1:{lab.controller.rest_port}/v1/sessions/{session}",
        method="DELETE",
        headers={"Authorization": f"Bearer {(state / 'token').read_text().strip()}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)


def _broken(lab: Lab, group: str) -> str:
    """What breaks a connection. A first echo may pass: the switch's cache changes within half a second. One that hangs until the
    host is told hangs for as long as a busy machine needs for that."""
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        failed = lab.agents["ue"].ask("echo", group=group, wait=30.0)["failed"]
        if failed:
            return str(failed[0])
        time.sleep(0.5)
    return ""


def _watching(lab: Lab) -> list[str]:
    """Session entries that show their segments."""
    dumps = [ofctl(lab.switch(name), "dump-flows", "table=1") for name in lab.plan.switches]
    return [line for dump in dumps for line in dump.splitlines() if "controller(" in line]


@pytest.mark.row("D-6.4h", "D-6.7.1", "D-6.2c", "N-7.1")
def test_real_joins_prove_themselves_and_a_real_host_believes_the_end(tmp_path: Path) -> None:
    with running(replace(PLAN, policy=POLICY), Progress(quiet=True)) as lab:
        lab.start_services()
        lab.start_controller()
        lab.agents["ue"].ask("ping", dst="10.9.0.2", count=5)

        session = _open(lab, "first")
        metric = lab.controller.metric
        # The echo went over the first subflow: the other one's proof may be on its way still.
        assert _until(lambda: metric("steering_joins_total", result="authenticated") == 1)
        assert metric("steering_joins_total", result="token-only") == 0
        assert _until(lambda: not _watching(lab)), _watching(lab)

        assert _delete(lab, session) in (200, 202, 204)
        assert "reset by peer" in _broken(lab, "first")
        assert lab.counted("ue").get("MPFastcloseRx", 0) >= 1, lab.counted(
            "ue"
        )  # one on each subflow, at most
        assert _until(lambda: not _sessions(lab))
        for name in ("core", "server"):  # both ends, and the MCP between them
            assert _until(partial(_is_dead, lab, name)), name

        _open(lab, "second")
        lab.host("core").pexec("ip link set dev " + lab.host("core").interface(0) + " down")
        assert _until(lambda: not _session_lines(lab))
        assert "reset by peer" in _broken(lab, "second")
        assert lab.counted("ue").get("MPFastcloseRx", 0) >= 1
        assert _until(lambda: not _sessions(lab))
        log = lab.controller.log_path().read_text()
        assert "ERROR" not in log, log


def _is_dead(lab: Lab, name: str) -> bool:
    """Whether a host's kernel has no TCP connection."""
    return not lab.host(name).pexec("ss -tnHO state established")[0].strip()


def _session_lines(lab: Lab) -> list[str]:
    dump = ofctl(lab.switch("s1"), "dump-flows", "table=1,cookie=0x5e10000000000000/0xfff0000000000000")
    return dump.splitlines()[1:]
