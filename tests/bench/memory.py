"""What sessions cost: bytes of each, and look-ups in a full table. Run as a process of its own, prints JSON.

Bytes are the growth of the resident set while the engine takes complete set-ups, decision records included. Time goes on
as in a controller: each segment comes at a time of its own, and what is kept for a tick only goes with the tick.
"""

import gc
import json
import os
import random
import sys
from pathlib import Path
from statistics import median
from time import perf_counter_ns, thread_time_ns
from typing import Any, Self

from steering.core.counters import Counters
from steering.core.engine import Engine
from steering.core.inputs import Continue, CountersRead, EntriesRead, SwitchUp, SynAckSeen, SynSeen, Tick
from steering.core.outputs import GoOn
from steering.core.packet_inputs import NeighbourSeen
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Beginning, Event, SessionLife
from steering.model.ids import McpId, Token, WaypointId
from steering.model.network import PortRole
from steering.model.policy import Limits, Policy, Timers
from steering.model.session import Entry, EntryKind
from steering.model.switch_contents import ObservedEntry
from steering.policy.site_file import parse_site
from steering.runtime import collector
from steering.wire.handshake import Handshake, Kind
from tests.bench import network

SYN, SYN_ACK = 0x02, 0x12
FIRST = 1_000  # sessions before the counting
MOST = 1_000_000 + FIRST
STEP = 5e-4  # seconds from one set-up to the next
TICK = 500  # set-ups


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def engine() -> Engine:
    """An engine on the benchmark's network, every switch up and every MCP known."""
    site, findings = parse_site(network.site_text(), "site")
    assert site is not None, findings
    limits = Limits(sessions=MOST, half_open=MOST, half_open_per_source=MOST)
    made = Engine(site, Policy(max_stretch=1000.0, limits=limits, timers=Timers(half_open=120.0)), epoch=1)
    for dpid in range(1, network.SWITCHES + 1):
        made.handle(SwitchUp(dpid, dict.fromkeys(range(1, 13), True)), 0.0)
        made.handle(EntriesRead(dpid, [], []), 0.0)
        while any(isinstance(output, GoOn) for output in made.handle(Continue(), 0.0)):
            pass
    mcps_are_there(made, 0.0)
    return made


def mcps_are_there(made: Engine, now: float) -> None:
    """Every MCP answers whoever asks for its address."""
    for mcp, known in zip(network.MCPS, made.map.site.mcps, strict=True):
        made.handle(NeighbourSeen(mcp.switch, network.MCP_PORT, known.addresses[0].packed, mcp.mac), now)


def ends(number: int, away: int = 0) -> tuple[int, bytes, bytes, int]:
    """Access switch, host's address, server's address and host's port of a session; of a later subflow so many access networks
    away."""
    access = (number + away) % network.SWITCHES + 1
    gateway = (number + 7) % network.SWITCHES + 1
    src = bytes((10, access)) + (number >> 8 & 0xFFFF).to_bytes(2, "big")
    dst = bytes((172, 16, gateway, 2 + number % 250))
    return access, src, dst, 1024 + away * 1024 + (number & 0xFF)


def set_up(made: Engine, number: int) -> None:
    """One session from its SYN to its token, and to its host's next segments: a half-open one is none that is live."""
    now = 1.0 + number * STEP
    access, src, dst, sport = ends(number)
    syn = Handshake(
        4,
        src,
        dst,
        sport,
        443,
        number,
        0,
        SYN,
        Kind.CAPABLE,
        1,
        b"",
        b"",
        b"",
        0,
        False,
        b"",
        False,
        False,
        24,
        78,
    )
    made.handle(SynSeen(access, network.ACCESS_PORT, syn, b"frame"), now)
    mcp = made.sessions.table.flows[flow_key(src, dst, sport, 443)].session.mcp
    place = made.map.inside[mcp].port
    key = (network.KEY_BASE + number).to_bytes(8, "big")
    answer = syn._replace(src=dst, dst=src, sport=443, dport=sport, ack=syn.seq + 1, flags=SYN_ACK, key=key)
    made.handle(SynAckSeen(place.dpid, place.port, answer), now + STEP / 4)
    entry = Entry(access, PortRole.ACCESS, 4, src, dst, sport, 443, 0, 0, 0)
    made.handle(CountersRead(access, [ObservedEntry(entry, 3, 250)]), now + STEP / 2)


def tick(made: Engine, number: int) -> None:
    """Time goes on, after a set-up or a join that began at this step."""
    now = 1.0 + number * STEP + STEP / 2
    made.handle(Tick(), now)
    mcps_are_there(made, now)


def join(made: Engine, number: int, step: int) -> None:
    """One more subflow of a session, from another access network. It begins at this step."""
    now = 1.0 + step * STEP
    _, src, dst, sport = ends(number)
    session = made.sessions.table.flows[flow_key(src, dst, sport, 443)].session
    access, src, dst, sport = ends(number, 1)
    syn = Handshake(
        4, src, dst, sport, 443, number, 0, SYN, Kind.JOIN, 0, b"", b"", session.token.to_bytes(4, "big"), 1, False,
        bytes(4), False, False, 24, 78,
    )  # fmt: skip
    made.handle(SynSeen(access, network.ACCESS_PORT, syn, b"frame"), now)
    entry = Entry(access, PortRole.ACCESS, 4, src, dst, sport, 443, 0, 0, 0)
    made.handle(CountersRead(access, [ObservedEntry(entry, 3, 250)]), now + STEP / 2)


class Pauses:
    """The longest collection, the longest tick, and the longest set-ups without either: these are the ones in which an
    index grew. Of the thread's own time, ns.

    On a virtual machine, the thread's time has in it what the host gave to others. So of the five longest set-ups the number is kept,
    too: an index grows at the same number in every run with the same PYTHONHASHSEED.
    """

    def __init__(self) -> None:
        self.longest_collection = self.longest_tick = 0
        self.longest_set_ups = [(0, 0)] * 5  # time and number, the longest first
        self._began = self._last = 0
        self._collected = False

    def __enter__(self) -> Self:
        gc.callbacks.append(self._collects)
        self._last = thread_time_ns()
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._collects)

    def _collects(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = thread_time_ns()
        else:
            self.longest_collection = max(self.longest_collection, thread_time_ns() - self._began)
            self._collected = True

    def one_done(self, number: int) -> None:
        """One more set-up is complete."""
        now = thread_time_ns()
        if not self._collected and now - self._last > self.longest_set_ups[-1][0]:
            self.longest_set_ups = sorted([*self.longest_set_ups, (now - self._last, number)], reverse=True)[
                :5
            ]
            now = thread_time_ns()
        self._last, self._collected = now, False

    def tick_done(self) -> None:
        """One more tick is complete."""
        now = thread_time_ns()
        if not self._collected:
            self.longest_tick = max(self.longest_tick, now - self._last)
        self._last, self._collected = now, False


def bytes_per_session(sessions: int) -> dict[str, Any]:
    """Through the engine."""
    made = engine()
    for number in range(FIRST):
        set_up(made, number)
        if number % TICK == 0:
            tick(made, number)
    gc.collect()
    collector.settle()
    before, began = resident(), perf_counter_ns()
    with Pauses() as pauses:
        for number in range(FIRST, FIRST + sessions):
            set_up(made, number)
            pauses.one_done(number)
            if number % TICK == 0:
                tick(made, number)
                pauses.tick_done()
    took = perf_counter_ns() - began
    gc.collect()
    after = resident()
    table = made.sessions.table
    assert len(table) == sessions + FIRST and not table.half_open.size
    for number in range(FIRST, FIRST + sessions):
        join(made, number, sessions + number)
        if number % TICK == 0:
            tick(made, sessions + number)
    gc.collect()
    further = resident() - after
    assert len(table.flows) == len(table) + sessions
    return {
        "sessions": sessions,
        "bytes_per_session": round((after - before) / sessions),
        "bytes_per_further_subflow": round(further / sessions),
        "engine_setup_us": round(took / sessions / 1000, 2),
        "longest_gc_ms": round(pauses.longest_collection / 1e6, 1),
        "longest_growth_ms": round(pauses.longest_set_ups[0][0] / 1e6, 1),
        "longest_set_ups": [[round(took / 1e6, 2), number] for took, number in pauses.longest_set_ups],
        "longest_tick_ms": round(pauses.longest_tick / 1e6, 1),
    }


def lookups(sessions: int) -> dict[str, Any]:
    """Random look-ups by token and by flow."""
    table = SessionTable(Limits(sessions=sessions, half_open=sessions), [1])
    life = SessionLife(table, Counters())
    chance = random.Random(7)
    gc.disable()
    keys, tokens = [], []
    for number in range(sessions):
        session = life.begin(Beginning.SYN_STEERED, McpId(1), None, 0.0)
        key = flow_key(number.to_bytes(4, "big"), b"\n\t\0\2", 40000, 443)
        table.begin_subflow(session, EntryKind.INITIAL, key, 1, 1, WaypointId(1), number, 0.0)
        token = Token(chance.getrandbits(32))
        table.learn(session, token)
        life.happened(session, Event.KEY_SEEN)
        keys.append(key)
        tokens.append(token)
    asked_tokens = [chance.choice(tokens) for _ in range(100_000)]
    # Fresh objects: a key out of a segment is never the one that the table holds.
    asked_keys = [bytes(bytearray(chance.choice(keys))) for _ in range(100_000)]
    flows, with_token = table.flows, table.with_token
    by_flow, by_token, by_miss = [], [], []
    for _ in range(3):
        by_flow.append(_each(flows.get, asked_keys))
        by_token.append(_each(with_token, asked_tokens))
        by_miss.append(_each(flows.get, [key[::-1] for key in asked_keys]))
    return {
        "table_sessions": sessions,
        "token_lookup_ns": round(median(by_token)),
        "flow_lookup_ns": round(median(by_flow)),
        "flow_miss_ns": round(median(by_miss)),
    }


def _each(look_up: Any, asked: list[Any]) -> float:
    """Nanoseconds of one."""
    began = perf_counter_ns()
    for one in asked:
        look_up(one)
    return (perf_counter_ns() - began) / len(asked)


if __name__ == "__main__":
    print(json.dumps(bytes_per_session(int(sys.argv[1])) | lookups(int(sys.argv[2]))))
