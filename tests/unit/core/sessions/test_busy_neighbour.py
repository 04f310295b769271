"""A neighbour that opens so many connections that the meter of SYN/ACK copies is used up: what honest hosts feel, whose answers
the controller then does not see.

Nothing that goes on is metered: hosts get their answers, and their switch counts what they send. The meters here are those that
the controller gave its switches, at the rate of its policy.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from steering.core.inputs import CopiesLost, McpSessions, SessionBegan
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session
from steering.model.ids import DatapathId
from steering.model.network import PortRef, Site
from steering.model.numbers import stable_id
from steering.model.policy import Meters, Policy
from steering.model.rules import VIRTUAL_MAC, PacketClass
from steering.model.session import Entry, SessionState
from steering.model.token_bucket import TokenBucket
from steering.wire.crypto import token
from tests.support.clustered import steers
from tests.support.fakes.packet import SYN_ACK, tcp
from tests.support.half_open import ACK, NOTHING, Counted, tell
from tests.support.sites import SERVER, access, answer, capable, join, mcp, off_path_site, packed
from tests.support.switched import MCP_MAC, Lab

COPIES = 50  # a second, of each access network
NOISE = 100  # SYNs a second of the neighbour
HONEST, SECONDS, STEP = 20, 10, 0.1
FIRST_PORT = 50_000  # of honest hosts
SAME = (
    access("lte", [PortRef(1, 1), PortRef(2, 1)], "10.1.0.0/24"),
)  # the neighbour is behind the second port
OTHER = (
    access("lte", [PortRef(1, 1)], "10.1.0.0/25"),
    access("wlan", [PortRef(2, 1)], "10.1.0.128/25"),
)
Felt = Callable[[str, object], None]


def site(networks: tuple[object, ...]) -> Site:
    return off_path_site(
        access_networks=networks, mcps=(mcp("core", PortRef(3, 1), "10.8.0.2", capacity=10_000),)
    )


class Ground:
    """The network, with the meters of its switches. `counted`: what entries of honest hosts count. `tells`: whether a
    switch tells each second what its meters dropped."""

    def __init__(self, networks: tuple[object, ...], counted: Counted = ACK, tells: bool = True) -> None:
        self.tells = tells
        self.lab = Lab(site(networks), Policy(meters=Meters(syn_ack=COPIES), max_stretch=9))
        self.counted = counted
        self.lost = {True: 0, False: 0}  # copies, of honest hosts and of the neighbour
        self.honest: list[Session] = []
        self.keys: list[bytes] = []
        self._buckets: dict[int, TokenBucket] = {}
        self._untold: Counter[int] = Counter()  # copies that meters dropped, since a switch told of them

    def opens(self, dpid: int, src: str, sport: int, honest: bool) -> None:
        """A SYN and its answer, whose copy comes up if its meter lets it through."""
        lab, opening, key = self.lab, capable(src, sport), sport.to_bytes(8, "big")
        lab.steer(lab.syn(dpid, 1, opening))
        flow = lab.table.flows.get(flow_key(opening.src, opening.dst, sport, 5201))
        if flow is None:
            return
        if honest:
            self.honest.append(flow.session)
            self.keys.append(key)
        said = tcp(SERVER, 5201, src, sport, SYN_ACK, eth_src=MCP_MAC, eth_dst=VIRTUAL_MAC)
        (copy,) = (one for one in lab.send(3, 1, said).copies if one.packet_class is PacketClass.SYN_ACK)
        band = lab.network[3].meters[copy.meter]
        full = TokenBucket(float(band.rate), float(band.burst), lab.now)
        if self._buckets.setdefault(copy.meter, full).take(lab.now):
            self.lost[honest] += 1
            self._untold[copy.meter] += 1
        else:
            lab.steer(lab.syn_ack(3, 1, answer(opening, key)))

    def passes(self, seconds: float, noise: bool = False) -> None:
        """Time goes by; switches answer what they are asked, and nobody completes what the neighbour began."""
        for step in range(round(seconds / STEP)):
            if self.tells and step % 10 == 0 and self._untold:
                self.lab.give(CopiesLost(DatapathId(3), tuple(self._untold.items())))
                self._untold.clear()
            tell(self.lab, self.lab.later(STEP), self._counted)
            if noise:
                for n in range(round(NOISE * STEP)):
                    self.opens(2, "10.1.0.200", 1_024 + step * round(NOISE * STEP) + n, False)
                if step % (SECONDS * 10 // HONEST) == 4:
                    self.opens(1, f"10.1.0.{20 + step // 5}", FIRST_PORT + step, True)

    def _counted(self, entry: Entry) -> Counted:
        return self.counted if entry.sport >= FIRST_PORT else NOTHING

    @property
    def living(self) -> list[Session]:
        """Sessions of honest hosts that are there and led to their MCP."""
        held = {(one.src, one.sport) for one in self.lab.network[1].entries()}
        there = self.lab.table.by_id
        standing = (SessionState.ESTABLISHED, SessionState.PLAIN)
        return [
            one
            for one in self.honest
            if one.id in there and one.state in standing and (one.flow.source, one.flow.source_port) in held
        ]


@pytest.mark.row("N-7.2c")
@pytest.mark.parametrize(
    ("networks", "share"), [(SAME, False), (OTHER, True)], ids=["of the same network", "of another network"]
)
def test_sessions_live_whose_answers_nobody_saw(
    networks: tuple[object, ...], share: bool, record_property: Felt
) -> None:
    ground = Ground(networks)
    ground.passes(SECONDS, noise=True)
    ground.passes(15)
    seen = sum(one.token >= 0 for one in ground.honest)
    record_property(
        "felt", f"{len(ground.living)} of {HONEST} sessions live, {seen} of their answers were seen"
    )
    assert len(ground.living) == len(ground.honest) == HONEST
    assert ground.lost[False] > 400, "the neighbour used its meter up"
    assert (ground.lost[True] == 0) is share, "each access network has a meter of its own"
    assert len(ground.lab.table) == HONEST, "and nothing is left of the neighbour's"


def test_by_what_was_seen_alone_most_would_have_ended(record_property: Felt) -> None:
    """The control: nobody counts what their hosts send."""
    ground = Ground(SAME, NOTHING)
    ground.passes(SECONDS, noise=True)
    lost = ground.lost[True]
    ground.passes(15)
    record_property("felt", f"{len(ground.living)} of {HONEST} sessions live where nobody counts")
    assert lost > HONEST / 2 and not ground.living


def test_where_switches_do_not_tell_what_they_drop_the_mcp_seems_sick(record_property: Felt) -> None:
    """The control of what is told: from the hosts' port the MCP seems to answer nothing, and gets no sessions of theirs."""
    ground = Ground(SAME, tells=False)
    ground.passes(SECONDS, noise=True)
    record_property("felt", f"{len(ground.honest)} of {HONEST} sessions begin where no drop is told")
    assert len(ground.honest) < HONEST


@pytest.mark.row("N-7.2c", "D-6.2c")
def test_what_their_mcp_reports_teaches_the_tokens_and_joins_find_it() -> None:
    ground = Ground(SAME)
    ground.passes(SECONDS, noise=True)
    assert ground.lost[True] > HONEST / 2
    told = tuple(
        SessionBegan(
            n,
            int.from_bytes(token(1, key), "big"),
            one.flow.source,
            one.flow.source_port,
            packed(SERVER),
            5201,
        )
        for n, (one, key) in enumerate(zip(ground.honest, ground.keys, strict=True), 1)
    )
    lab = ground.lab
    lab.give(McpSessions(stable_id("core"), "a", 1, 1, True, told))
    assert {one.state for one in ground.honest} == {SessionState.ESTABLISHED}
    for n, one in enumerate(ground.honest):
        carried = one.token.to_bytes(4, "big")
        assert steers(lab.syn(2, 1, join(f"10.1.0.{150 + n}", 60_000, carried)))
        assert len(one.subflows) == 2
