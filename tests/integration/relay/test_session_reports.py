"""A relay's reports of sessions on a real kernel: the tokens are those that joins carry, and nothing stays behind."""

import contextlib
import json
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.core.counters import SessionReport
from steering.northbound.resources.session_reports import told
from steering.relay.kernel.late_segments import BEFORE_S, flows_of, listing
from steering.relay.kernel.rules import TABLE
from tests.support.relay_lab import HOST, SERVER, Echo, Lab, RelayProcess, wait_for
from tests.support.relay_word import read
from tests.support.session_reports import ReportServer
from tests.support.sites import UE_LTE, Driver


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    built = Lab(tmp_path)
    yield built
    built.close()


@pytest.fixture
def controller(lab: Lab) -> Iterator[ReportServer]:
    with lab.inside("mcp"):
        made = ReportServer()
    with made:
        yield made


def relay_of(lab: Lab, controller: ReportServer, tmp_path: Path) -> RelayProcess:
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o600)
    return lab.relay(
        "--controller", controller.url, "--mcp", "core", "--token-file", str(token),
        prefixes=("10.9.0.0/24",),
    )  # fmt: skip


def tokens(controller: ReportServer) -> set[str | None]:
    return {row["token"] for row in controller.sessions.live.values()}


def test_sessions_are_reported_by_the_token_of_joins_and_their_ends_too(
    lab: Lab, controller: ReportServer, tmp_path: Path
) -> None:
    relay = relay_of(lab, controller, tmp_path)
    echo = Echo(lab, 4)
    with lab.connect(4) as host:
        host.sendall(b"x")
        (row,) = wait_for(lambda: list(controller.sessions.live.values()))
        assert row["token"] == relay.status()["sessions"][0]["token"] and row["token"]
        assert host.recv(1) == b"x"
        assert (row["client"], row["server"]) == ([*host.getsockname()[:2]], ["10.9.0.2", 5201])
    wait_for(lambda: not controller.sessions.live)
    assert controller.sessions.ended[-1]["how"] == "orderly"
    lab.connect(4, protocol=socket.IPPROTO_TCP).close()  # plain TCP has no token, and is told too
    wait_for(lambda: len(controller.sessions.ended) == 2)
    assert controller.sessions.ended[-1]["token"] is None
    echo.close()


def test_a_server_that_cannot_be_reached_leaves_no_session_behind(
    lab: Lab, controller: ReportServer, tmp_path: Path
) -> None:
    relay_of(lab, controller, tmp_path)
    wait_for(lambda: controller.batches)
    # The relay answers for a server where nobody listens, and resets once it knows: sometimes before connect returns.
    host = lab.tcp("ue", 4, socket.IPPROTO_MPTCP)
    with contextlib.suppress(ConnectionResetError):
        host.connect((SERVER[4], 5201))
    wait_for(lambda: controller.sessions.ended)
    assert controller.sessions.ended[0]["how"] == "dial_failed" and not controller.sessions.live
    host.close()


def test_what_lived_in_a_killed_relay_is_over_once_the_next_one_reports(
    lab: Lab, controller: ReportServer, tmp_path: Path
) -> None:
    first = relay_of(lab, controller, tmp_path)
    echo = Echo(lab, 4)
    host = lab.connect(4)
    wait_for(lambda: controller.sessions.live)
    first.kill()
    assert controller.sessions.live
    relay_of(lab, controller, tmp_path)
    wait_for(lambda: not controller.sessions.live)
    host.close()
    echo.close()


@pytest.mark.row("D-6.7.1", "S-15")
def test_the_next_relay_knows_which_late_segments_are_those_of_a_killed_one(
    lab: Lab, controller: ReportServer, tmp_path: Path
) -> None:
    """And leaves it to the controller to tell their hosts (relay.kernel.late_segments)."""
    first = relay_of(lab, controller, tmp_path)
    echo = Echo(lab, 4)
    host = lab.connect(4)
    host.sendall(b"x")
    assert host.recv(1) == b"x"
    flow = f"{HOST[4]} . {host.getsockname()[1]} . {SERVER[4]} . 5201"
    assert flow in flows_of(lab.run("mcp", listing(TABLE, "ip")))
    first.kill()
    relay_of(lab, controller, tmp_path)
    assert flow in flows_of(lab.run("mcp", listing(TABLE, "ip"))), (
        "for as long as the killed one's table knew it"
    )
    rules = lab.run("mcp", f"nft list chain inet {TABLE} over").splitlines()
    assert ["@before_" in rule for rule in rules if "counter" in rule] == [True, True, False, False]
    host.close()
    echo.close()


def late_verdicts(lab: Lab) -> dict[str, int]:
    """How many late segments were dropped, and how many reset, of those that met a listener."""
    rows = json.loads(lab.run("mcp", f"nft -j list chain inet {TABLE} over"))["nftables"]
    found = {"drop": 0, "reset": 0}
    for expression in (row["rule"]["expr"] for row in rows if "rule" in row):
        packets = sum(one["counter"]["packets"] for one in expression if "counter" in one)
        found["drop" if {"drop": None} in expression else "reset"] += packets
    return found


def said_to_a_host_that_sends_on(lab: Lab, controller: ReportServer, tmp_path: Path) -> dict[str, int] | None:
    """What becomes of the first segments of a host whose relay was killed, and whose kernel's last words were lost, once the next
    relay is there. None where that took so long that the relay may have forgotten the run before."""
    first = relay_of(lab, controller, tmp_path)
    with lab.connect(4) as host:
        host.sendall(b"x")
        assert host.recv(1) == b"x"
        lab.run("mcp", "nft add table inet mute")
        lab.run("mcp", "nft add chain inet mute out { type filter hook output priority 0 ; policy drop ; }")
        first.kill()
        own = f":{host.getsockname()[1]} "
        wait_for(lambda: own not in lab.run("mcp", "ss -tanH"))
        lab.run("mcp", "nft delete table inet mute")
        began = time.monotonic()
        second = relay_of(lab, controller, tmp_path)
        host.sendall(b"y")
        seen = wait_for(lambda: [one for one in [late_verdicts(lab)] if any(one.values())])[0]
        second.stop()
    return seen if time.monotonic() < began + BEFORE_S else None


@pytest.mark.row("D-6.7.1", "S-15")
def test_a_host_that_sends_on_after_its_relay_was_killed_is_not_reset_by_the_next_one(
    lab: Lab, controller: ReportServer, tmp_path: Path
) -> None:
    """Its controller tells it. A plain reset would end the subflow on which its program is to hear that."""
    with contextlib.closing(Echo(lab, 4)):
        seen = wait_for(lambda: said_to_a_host_that_sends_on(lab, controller, tmp_path), 300.0)
    assert seen["drop"] and not seen["reset"]


def test_a_relay_that_does_not_start_leaves_the_table_of_one_that_lives(
    lab: Lab, controller: ReportServer, tmp_path: Path
) -> None:
    relay = relay_of(lab, controller, tmp_path)
    before = lab.run("mcp", f"nft -s list table inet {TABLE}")
    lab.run(
        "mcp",
        f"{sys.executable} -m steering.cli.main relay --controller {controller.url} --mcp core --token-file {tmp_path / 'token'}"
        f" --source-mode transparent --port 5202 --prefix 10.9.0.0/24 --status {relay.status_path} --apply",
        check=False,
    )
    assert lab.run("mcp", f"nft -s list table inet {TABLE}") == before


def test_an_engine_has_the_ends_told_of_what_a_killed_relay_had_once_the_next_one_reports(
    lab: Lab, controller: ReportServer, tmp_path: Path
) -> None:
    driver = Driver()
    assert UE_LTE == HOST[4]
    first = relay_of(lab, controller, tmp_path)
    echo = Echo(lab, 4)
    host = lab.connect(4, protocol=socket.IPPROTO_TCP)
    session = driver.session(sport=host.getsockname()[1], key=b"")
    mcp = session.mcp
    wait_for(lambda: controller.sessions.live)
    first.kill()
    relay_of(lab, controller, tmp_path)
    wait_for(lambda: not controller.sessions.live)
    batches = list(controller.batches)
    assert len({batch["generation"] for batch in batches}) == 2
    for batch in batches:
        driver.give(told(mcp, read(batch)))
    driver.later(0.05)  # the sessions are compared with the set
    driver.later(0.05)
    reports = driver.counters.session_reports
    assert (reports[SessionReport.CUT_OFF], reports[SessionReport.ABSENT]) == (1, 0)
    assert driver.engine.sessions.aborted.report(session.id)
    host.close()
    echo.close()
