"""The real controller is killed (SIGKILL) and started again: what no switch tells is still known."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from steering.model.rules import PacketClass, Table
from steering.wire.craft import tcp_frame
from tests.process.network import (
    KEY,
    LTE_HOST,
    MP_CAPABLE_ANSWER,
    SERVER,
    SYN_ACK,
    TOKEN,
    Network,
)
from tests.support.controller_process import SITE
from tests.support.fakes.rawswitch import MULTIPART_REQUEST
from tests.support.rest_calls import ask
from tests.support.waiting import wait_for

CAPACITIES = """\
links:
  - {ports: [s1:2, s3:2], capacity_mbit: 100}
  - {ports: [s2:2, s3:3], capacity_mbit: 100}
  - {ports: [s4:2, s3:4], capacity_mbit: 100}
"""
AHEAD = """\
policy: 1
subscribers:
  - {id: home, prefixes: [10.1.0.0/30, 10.2.0.0/30]}
rules:
  - {name: ahead, when: {subscriber: home}, then: {insertion: proactive}}
"""
METERED = """\
policy: 1
timers: {sweep: 1}
subscribers:
  - {id: home, prefixes: [10.1.0.0/30]}
rules:
  - {name: metered, when: {}, then: {pooling: {quota_bytes: {cellular: 100000}}}}
"""
BYTES = 700  # that a raw switch has counted for each entry


def reserve(network: Network, lease: float, **wish: Any) -> dict[str, Any]:
    answer = ask(network.running, "POST", "/v1/reservations", {"lease_s": lease, **wish})
    body: dict[str, Any] = json.loads(answer.read())
    assert answer.status == 201, body
    return body


def reservations(network: Network) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = network.running.json("/v1/reservations")["reservations"]
    return found


def relabelled(network: Network, dpid: int) -> set[tuple[bytes, bytes]]:
    """What a switch's table holds for reserved flows: match and instructions."""
    return {
        (match, instructions)
        for (table, priority, match), (_, instructions) in list(network.switches[dpid].flows.items())
        if table == Table.LABEL and priority > 2_000
    }


def die(network: Network) -> None:
    network.running.kill()
    network.disconnect()


def come_back(network: Network) -> None:
    network.running.start()
    network.connect()


@pytest.mark.row("D-6.4g")
def test_reservations_outlive_a_killed_controller_and_expired_leases_do_not(tmp_path: Path) -> None:
    with Network(tmp_path, SITE + CAPACITIES) as network:
        network.establish()
        (session,) = network.running.json("/v1/sessions")["sessions"]
        kept = reserve(network, 300, level="session", session=session["id"], rate_bps=5_000_000)
        reserve(network, 2, level="subflow", session=session["id"], subflows=1)
        wait_for(lambda: bool(relabelled(network, 1)) and bool(relabelled(network, 3)))
        die(network)
        entries = {dpid: relabelled(network, dpid) for dpid in (1, 3)}
        assert entries[1] and entries[3]
        time.sleep(2)
        come_back(network)
        (again,) = reservations(network)
        same = ("id", "level", "standing", "rate_bps", "path_number", "paths", "version", "asked")
        assert {key: again[key] for key in same} == {key: kept[key] for key in same}
        assert 200 < again["remaining_s"] < 298.5
        assert {dpid: relabelled(network, dpid) for dpid in (1, 3)} == entries
        (known,) = network.running.json("/v1/sessions")["sessions"]
        assert again["session"] == known["id"]
        # It is a reservation like any other: it can be released, and that outlives the next one too.
        assert ask(network.running, "DELETE", f"/v1/reservations/{again['id']}").status == 200
        network.switches[1].quiet()
        assert relabelled(network, 1) == set()
        die(network)
        come_back(network)
        assert reservations(network) == []


@pytest.mark.row("S-18", "D-4.d", "D-6.7.1")
def test_a_proactive_session_is_known_again_and_its_join_follows_it_when_its_mcp_is_drained(
    tmp_path: Path,
) -> None:
    second = SITE.replace(
        "mcps:\n",
        "mcps:\n  - {name: other, type: off-path, port: s3:5, interception: steered, addresses: [10.8.1.2],"
        " source_mode: transparent, capacity: {sessions: 10000}}\n",
    )
    network = Network(tmp_path, second + CAPACITIES)
    (tmp_path / "policy.yaml").write_text(AHEAD)
    network.switches[3] = type(network.switches[3])(3, (1, 2, 3, 4, 5))
    network.switches[3].neighbours |= {
        bytes((10, 8, 0, 2)): (1, b"\x0a\0\0\0\0\x08"), bytes((10, 8, 1, 2)): (5, b"\x0a\0\0\0\0\x18"),
    }  # fmt: skip
    with network:
        running = network.running
        question = {"source": "10.1.0.2", "destination": "10.9.0.2", "port": 443}

        def home() -> str:
            told = json.loads(ask(running, "POST", "/v1/whatif", question).read())
            return f"{told['reason']} {told['winner']}"

        wait_for(lambda: home().startswith("proactive"))
        first = home().split()[1]
        port = 1 if first == "core" else 5
        network.punt(
            3, port,
            tcp_frame(SERVER, LTE_HOST, 443, 40_000, flags=SYN_ACK, ack=1, options=MP_CAPABLE_ANSWER),
            PacketClass.SYN_ACK,
        )  # fmt: skip
        wait_for(lambda: len(running.json("/v1/sessions")["sessions"]) == 1)
        wait_for(lambda: (running.state / "sessions.jsonl").exists())
        assert KEY.hex() not in (running.state / "sessions.jsonl").read_text()
        die(network)
        come_back(network)
        network.show_mcp()
        wait_for(lambda: len(running.json("/v1/sessions")["sessions"]) == 1)
        (session,) = running.json("/v1/sessions")["sessions"]
        assert (session["token"], session["mcp"]) == (TOKEN.hex(), first)
        wait_for(lambda: home().startswith("proactive"))
        assert home() == f"proactive {first}"
        assert ask(running, "POST", f"/v1/mcps/{first}/drain").status == 202
        wait_for(lambda: first not in home())
        network.wait_for_release(2, network.join())
        (entry,) = network.session_entries(2).values()
        assert f"{entry & 0xFFFFFFFF:08x}" == TOKEN.hex()
        (session,) = running.json("/v1/sessions")["sessions"]
        assert session["mcp"] == first
        # Nor does the next controller send anybody to an MCP in maintenance.
        die(network)
        come_back(network)
        mcps = {one["name"]: one["health"] for one in running.json("/v1/mcps")["mcps"]}
        assert mcps[first] == "draining" and "draining" not in {mcps[name] for name in mcps if name != first}


@pytest.mark.row("N-5.6.1k3")
def test_bytes_of_a_quota_outlive_it_and_are_counted_once(tmp_path: Path) -> None:
    network = Network(tmp_path)
    (tmp_path / "policy.yaml").write_text(METERED)

    def used() -> list[Any]:
        file = network.running.state / "usage.json"
        found: list[Any] = json.loads(file.read_text())["used"] if file.exists() else []
        return found

    with network:
        network.establish()
        wait_for(lambda: used() == [["subscriber home", "cellular", BYTES]])
        die(network)
        come_back(network)
        # Its sweeps read the same counters again: what was counted is not counted anew.
        seen = network.switches[1].last_order()
        wait_for(lambda: len(network.switches[1].of_type(MULTIPART_REQUEST, seen)) > 3)
        (network.running.state / "usage.json").unlink()
        network.switches[1].counted = 1_000
        wait_for(lambda: used() == [["subscriber home", "cellular", 1_000]])
