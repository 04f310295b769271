"""What one entry counted, asked of a real switch that holds many: the third ACK of a host is seen at once, and the frames
are counted whole."""

import time
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import count
from typing import Any

import pytest

from steering.core.inputs import ObservedEntry
from steering.core.outputs import ReadCounters
from steering.core.pipeline.forwarding import label_rules
from steering.model.ids import PortNumber, WaypointId
from steering.model.network import PortRef, PortRole, Waypoint
from steering.model.rules import ROLE_SHIFT, OutputAction, Rule, Table
from steering.model.session import Entry, pack_cookie
from steering.openflow.messages.encode import flow_mod
from steering.openflow.messages.templates import entry_add
from steering.openflow.polls.entry_counters import EntryCounters
from steering.wire.craft import tcp_frame
from tests.integration.ovs import Switch, switch

OTHERS = 20_000
ACK = 0x10
HOSTS = {4: ("10.1.0.2", "10.9.0.2"), 6: ("fd00:1::2", "fd00:9::2")}


def entry(family: int, sport: int, token: int) -> Entry:
    src, dst = (ip_address(text).packed for text in HOSTS[family])
    return Entry(1, 1, family, src, dst, sport, 443, 5, 0, pack_cookie(0, 0, 9, token))


@pytest.fixture(scope="module")
def bridge() -> Iterator[Switch]:
    """Port 1 is an access network's, port 2 leads to the label of waypoint 5, and many sessions are there."""
    with switch(2) as made:
        rules = [
            Rule(Table.GUARD, 1, (("in_port", 1),), (), Table.SESSION, (1 << ROLE_SHIFT, 0xF_0000)),
            *label_rules(
                1,
                False,
                [Waypoint(WaypointId(5), "mcp", PortRole.MCP, PortRef(1, 2))],
                OutputAction(PortNumber(2)),
            ),
        ]
        assert made.send(b"".join(map(flow_mod, rules))) == []
        many = b"".join(entry_add(entry(4, 2_000 + n, n + 1)) for n in range(OTHERS))
        assert made.send(many) == []
        yield made


def told(bridge: Switch, entries: tuple[Entry, ...]) -> list[ObservedEntry]:
    """What the switch tells of these, as the engine is told."""
    found: list[Any] = []
    asking = EntryCounters({1: bridge}, count(0x8000_0000), found.append)
    asking.ask(ReadCounters(1, entries), 0.0)
    for xid, body in bridge.multiparts(len(entries)):
        assert asking.answer(1, xid, body)
    (read,) = found
    assert len(asking) == 0 and read.dpid == 1
    return read.entries


@pytest.mark.parametrize("family", [4, 6])
def test_a_third_ack_is_counted_by_its_entry_alone_and_its_frame_is_whole(
    bridge: Switch, family: int
) -> None:
    own, other = entry(family, 1_001, 0x7000_0001), entry(family, 1_002, 0x7000_0002)
    assert bridge.send(entry_add(own) + entry_add(other)) == []
    frame = tcp_frame(own.src, own.dst, own.sport, own.dport, flags=ACK)
    bridge.inject(1, frame)
    assert bridge.received(2, 1)
    gone = entry(family, 1_003, 0x7000_0003)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        seen = told(bridge, (own, other, gone))
        if seen[0].packets:
            break
        time.sleep(0.1)
    # Of an entry that is not there nothing is told: nobody knows what it had counted.
    assert [(one.entry, one.packets, one.bytes) for one in seen] == [(own, 1, len(frame)), (other, 0, 0)]


def test_many_questions_are_answered(bridge: Switch, capsys: pytest.CaptureFixture[str]) -> None:
    asked = tuple(entry(4, 2_000 + n, n + 1) for n in range(1_000))
    began = time.perf_counter()
    seen = told(bridge, asked)
    took = time.perf_counter() - began
    began = time.perf_counter()
    bridge.flow_stats(Table.SESSION)
    whole = time.perf_counter() - began
    with capsys.disabled():
        print(
            f"\n{len(asked)} of {OTHERS} entries: {1e3 * took:.1f} ms one by one, all at once {1e3 * whole:.1f} ms"
        )
    assert [one.entry for one in seen] == list(asked) and not any(one.packets for one in seen)
