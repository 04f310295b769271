"""Whatever happens to sessions, what is counted is what there is: limits neither leak nor run over."""

from collections import Counter
from random import Random
from typing import Any

import pytest

from steering.core.inputs import (
    AbortSession,
    AccessChanged,
    CountersRead,
    FinSeen,
    McpAdmin,
    McpReport,
    ObservedEntry,
    PolicyReplaced,
    PortStatus,
)
from steering.core.outputs import ReadCounters
from steering.core.selection.quotas import QuotaKeys
from steering.core.sessions.flow_key import flow_key
from steering.model.network import NetworkAccessType, PortRef, Trust
from steering.model.policy import Action, Policy, PolicyRule, Quotas, RuleConditions, Subscriber, Terms
from steering.model.session import SessionState
from steering.wire.crypto import token
from steering.wire.handshake import Handshake
from tests.support.sites import SERVER, Driver, answer, capable, join, mcp, nets, off_path_site

HOSTS = {"10.1.0.2": 1, "10.1.0.3": 1, "10.1.0.9": 1, "10.2.0.2": 2}  # address -> switch
KEYS = [bytes((n,)) * 8 for n in range(6)]
FIN, RST = 0x11, 0x14
CAPACITY = {"core": 4, "edge": 3}


def some_policy(rng: Random, version: int) -> Policy:
    rules = [
        PolicyRule("r1", RuleConditions(ports=((80, 80),)), Terms(action=rng.choice(list(Action)))),
        PolicyRule(
            "r2",
            RuleConditions(access_networks=frozenset(["wlan"])),
            Terms(quotas=Quotas(subflows_per_session=2)),
        ),
        PolicyRule("r3", RuleConditions(), Terms(mcps=frozenset([rng.choice(list(CAPACITY))]))),
    ]
    quotas = Quotas(
        sessions_per_subscriber=rng.choice([None, 2, 5]),
        sessions_per_server=rng.choice([None, 3, 8]),
        sessions_per_mcp=rng.choice([None, 4, 6]),
        subflows_per_session=rng.choice([None, 1, 2, 4]),
    )
    acme = Subscriber("acme", prefixes=nets("10.1.0.0/30", "10.2.0.0/30"), quotas=quotas)
    return Policy(
        rules=tuple(rule for rule in rules if rng.random() < 0.3),
        quotas=quotas,
        subscribers=(acme,) if rng.random() < 0.5 else (),
        version=version,
    )


class World:
    """An engine, and what hosts, MCPs, servers and the operator do to it at random."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        mcps = (
            mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2", capacity=CAPACITY["core"]),
            mcp("edge", PortRef(5, 1), "10.8.1.2", "fd00:18::2", capacity=CAPACITY["edge"]),
        )
        self.driver = Driver(off_path_site(mcps=mcps), some_policy(self.rng, 1))
        self.seen: list[Handshake] = []
        self.late: Counter[int] = Counter()  # MCP id -> sessions that were no load for a while, and are again
        self._uncounted: dict[int, int] = {}  # session -> its MCP
        self.steps = [
            *[self.opens] * 6, *[self.answers] * 4, *[self.joins] * 3, *[self.ends] * 3, self.waits,
            self.reconfigures, self.aborts,
        ]  # fmt: skip

    def step(self) -> None:
        self.rng.choice(self.steps)()

    def opens(self) -> None:
        src, rng = self.rng.choice(list(HOSTS)), self.rng
        dst, dport = rng.choice([SERVER, "10.9.0.7"]), rng.choice([5201, 80])
        opening = capable(src, rng.randint(40000, 40012), dst, dport=dport, seq=rng.randint(1, 3))
        self.seen.append(opening)
        self.driver.syn(HOSTS[src], 1, opening)

    def joins(self) -> None:
        src, rng = self.rng.choice(list(HOSTS)), self.rng
        carried = token(1, rng.choice([*KEYS, b"unknown!"]))
        opening = join(src, rng.randint(50000, 50010), carried, rng.choice([SERVER, "10.8.0.2"]), seq=7)
        self.seen.append(opening)
        self.driver.syn(HOSTS[src], 1, opening)

    def _known(self):
        """A handshake, and the port of the MCP that has it."""
        one = self.rng.choice(self.seen)
        subflow = self.driver.table.flows.get(flow_key(one.src, one.dst, one.sport, one.dport))
        inside = self.driver.engine.map.inside
        return one, inside.get(subflow.session.mcp if subflow else 0, next(iter(inside.values()))).port

    def answers(self) -> None:
        if self.seen:
            one, at = self._known()
            self.driver.syn_ack(at.dpid, at.port, answer(one, self.rng.choice([*KEYS, b""])))

    def ends(self) -> None:
        if not self.seen:
            return
        one, at = self._known()
        back = answer(one, b"")  # acknowledges
        host, server = PortRef(one.src[1], 1), PortRef(4, 1)
        where, segment, flags = self.rng.choice(
            [(host, one, FIN), (host, one, RST), (at, back, FIN), (at, back, RST), (at, one, FIN),
             (at, one, RST), (server, back, FIN)]
        )  # fmt: skip
        self.driver.give(FinSeen(where.dpid, where.port, segment._replace(flags=flags)))

    def waits(self) -> None:
        """Time goes by, and of the counters that are asked for some show that a host goes on."""
        for output in self.driver.later(self.rng.choice([0.05, 0.3, 3, 40, 400])):
            if isinstance(output, ReadCounters) and self.rng.random() < 0.9:
                counts = [self.rng.choice([(0, 0), (1, 54), (1, 86)]) for _ in output.entries]
                found = [
                    ObservedEntry(entry, *count) for entry, count in zip(output.entries, counts, strict=True)
                ]
                self.driver.give(CountersRead(output.dpid, found))

    def aborts(self) -> None:
        if len(self.driver.table):
            self.driver.give(AbortSession(self.rng.choice(list(self.driver.table.by_id))))

    def reconfigures(self) -> None:
        rng, engine = self.rng, self.driver.engine
        number, place = rng.choice(list(engine.map.inside.items()))
        access = AccessChanged(
            rng.choice(["lte", "wlan"]), rng.choice([None, *NetworkAccessType]), rng.choice([None, *Trust])
        )
        change = rng.choice(
            [
                PolicyReplaced(some_policy(rng, engine.policy.version + 1)),
                McpAdmin(number, rng.random() < 0.5),
                McpReport(number, rng.random() < 0.6, rng.choice([None, 0.5, 1.0])),
                PortStatus(place.port.dpid, place.port.port, rng.random() < 0.5),
                access,
            ]
        )
        self.driver.give(change)

    def check(self) -> None:
        """Count everything anew."""
        table = self.driver.table
        for number, one in self._uncounted.items():
            if number in table.by_id and number not in table.uncounted and number not in table.lingering:
                self.late[one] += 1
        self._uncounted = {number: table.by_id[number].mcp for number in table.uncounted}
        kinds: list[Counter[Any]] = [Counter() for _ in range(5)]
        load, keys, states, subflows, half_open = kinds
        for session in table:
            states[session.state] += 1
            subflows[session.mcp] += len(session.subflows)
            half_open[session.entrance] += session.id in table.half_open
            if session.id in table.uncounted:
                continue
            if session.id not in table.lingering and session.state is not SessionState.IDLE:
                load[session.mcp] += 1
                keys.update(zip(QuotaKeys._fields, session.quota_keys(table.origin_of) or (), strict=False))
        assert +load == +Counter(table.active)
        assert keys == Counter({(kind, key): count for kind, key, count in table.ledger})
        assert +states == +Counter(table.states)
        assert +subflows == +Counter(table.subflows)
        assert +half_open == +Counter(table.half_open_at)
        assert len(table.flows) == sum(subflows.values())
        # A session's state shows whether it is half-open.
        standing = {SessionState.SYN_PINNED, SessionState.ANSWERED}
        assert set(table.half_open) == {one.id for one in table if one.state in standing}
        assert not self.driver.counters.session_events_refused
        assert table.uncounted <= table.by_id.keys() and not table.uncounted & table.lingering.keys()
        # What is counted again since its host was late may come on top.
        for number, mcp_ in self.driver.engine.map.mcps.items():
            assert load[number] <= CAPACITY[mcp_.name] + self.late[number]


@pytest.mark.row("N-7.2b", "D-6.3f")
@pytest.mark.parametrize("seed", range(8))
def test_counters_and_limits_hold_and_fall_to_nothing(seed: int) -> None:
    world = World(seed)
    for _ in range(120):
        world.step()
        world.check()
    for _ in range(8):
        world.driver.later(10_000)
        world.check()
    assert not +Counter(world.driver.table.active), "what is silent is nobody's load"
    for session in [one for one in world.driver.table if one.state is SessionState.IDLE]:
        world.driver.give(AbortSession(session.id))
    world.driver.later(10_000)
    world.check()
    assert (
        not len(world.driver.table) and not world.driver.table.flows and not list(world.driver.table.ledger)
    )
