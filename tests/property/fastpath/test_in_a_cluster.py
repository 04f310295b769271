"""The fast path and the general way are equal where another controller decides for some switches: what leaves for switches, what leaves
for the other controller, and all state."""

from typing import Any, cast

import pytest

from steering.core.clustered_engine import ClusteredEngine
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerTold, PeerUp, TellPeer, TurnOver
from steering.model.network import Site
from steering.model.policy import Policy
from steering.model.rules import PacketClass
from steering.openflow.fastpath import layouts
from steering.wire.peer_messages import (
    WITH_DIVISIONS,
    EndedTokens,
    PeerMessage,
    ReplicaEnd,
    ReplicaStart,
    TokenEntries,
    TokenEntry,
)
from tests.property.fastpath.both_ways import BytesController, plain
from tests.property.fastpath.story import EXAMPLES, Story, stories
from tests.property.fastpath.traffic import HOSTS, KEYS, SERVERS4, SYN_ACK
from tests.support.sites import Driver, packed

ME, OTHER = "a", "b"
OWNERS = {
    1: ME,
    2: OTHER,
    3: ME,
    4: OTHER,
    5: ME,
}  # LTE's edge, WLAN's, an MCP's, the gateway's, the other MCP's
BARRIER_REPLY = 21
OLDER = WITH_DIVISIONS - 1  # with one of this version, parts of limits are computed from who is there


class MemberDriver(Driver):
    """A controller with its own switches up, that hears the other one."""

    engine_type = ClusteredEngine

    def __init__(self, site: Site, policy: Policy) -> None:
        self._knows_owners = False
        super().__init__(site, policy)
        self.give(PeerUp(OTHER, OLDER))
        for message in (ReplicaStart(), ReplicaEnd()):
            self.give(PeerTold(OTHER, message))

    def up(self, dpid: int, entries: Any = (), hosts: Any = ()) -> Any:
        if not self._knows_owners:
            self._knows_owners = True
            self.give(ClusterChanged(ME, frozenset({ME, OTHER}), OWNERS))
        return super().up(dpid, entries, hosts) if OWNERS[dpid] == ME else None


class MemberBytes(BytesController):
    """One of two controllers. `told`: what it has told the other one since it was asked."""

    def __init__(self, site: Site, policy: Policy, fast: bool) -> None:
        super().__init__(site, policy, fast, MemberDriver(site, policy))
        self.told: list[TellPeer] = []
        self.sender.tell_peer = self.told.append

    def settle(self, now: float) -> dict[int, bytes]:
        self.give(TurnOver(), now)
        return super().settle(now)

    def state(self) -> list[Any]:
        peers = cast(ClusteredEngine, self.engine).peers
        return [*super().state(), *plain([peers.events, peers.routes._passed], {})]


class MemberStory(Story):
    """Two such controllers. Sessions of the other one come and go too, with tokens that these know or do not know."""

    def __init__(self, number: int) -> None:
        super().__init__(number, MemberBytes)
        self._announced: list[TokenEntry] = []
        self.passed_on = 0

    def messages(self) -> list[tuple[int, bytes]]:
        """A switch of the other controller sends nothing here; its barriers are answered by that controller."""
        found = [one for one in super().messages() if OWNERS[one[0]] == ME or one[1][1] == BARRIER_REPLY]
        if self.chance.random() < 0.3:
            found.append(self._foreign_answer())
        return found

    def _foreign_answer(self) -> tuple[int, bytes]:
        """An MCP's answer to a host whose first SYN came in at the other controller's switch."""
        chance = self.chance
        host, server = packed(HOSTS[2][0]), packed(chance.choice(SERVERS4))
        mptcp = self.traffic.option(layouts.CAPABLE_KEY_V1)[:4] + chance.choice(KEYS)
        key = (server, host, 5201, chance.randrange(1_024, 65_536))
        frame = self.traffic.frame(key, SYN_ACK, self.traffic.options(mptcp), ack=1_001)
        return chance.choice((3, 5)), self.traffic.message(PacketClass.SYN_ACK, 1, frame)

    def one(self) -> None:
        chance = self.chance
        if chance.random() < 0.2:
            self._hear(PeerTold(OTHER, self._of_the_other()))
        if chance.random() < 0.03:
            self._hear(PeerLost(OTHER))
            if chance.random() < 0.5:
                super().one()
            self._hear(PeerUp(OTHER, OLDER), PeerTold(OTHER, ReplicaStart()), PeerTold(OTHER, ReplicaEnd()))
            self._announced.clear()
        super().one()

    def _hear(self, *given: Any) -> None:
        for one in given:
            for controller in self.both:
                controller.give(one, self.now)

    def _of_the_other(self) -> PeerMessage:
        """A session of the other controller begins or ends; some have a token that a session here has too."""
        chance = self.chance
        if self._announced and chance.random() < 0.4:
            return EndedTokens((self._announced.pop(chance.randrange(len(self._announced))),))
        known = [one for one in self.traffic.sessions if one.token >= 0]
        token, server, port = chance.randrange(1 << 32), packed(chance.choice(SERVERS4)), 5201
        if known and chance.random() < 0.6:
            session = chance.choice(known)
            token = session.token
            if chance.random() < 0.5 and len(session.flow.destination) == 4:
                server, port = session.flow.destination, session.flow.destination_port
        self._announced.append(TokenEntry(token, 7, server, port))
        return TokenEntries((self._announced[-1],))

    def sent(self, written: list[dict[int, bytes]]) -> None:
        super().sent(written)
        members = [cast(MemberBytes, one) for one in self.both]
        told = [list(one.told) for one in members]
        assert told[0] == told[1]
        self.passed_on += len([one for one in told[0] if "Forwarded" in type(one.message).__name__])
        for one in members:
            one.told.clear()


@pytest.mark.row("D-6.7.1")
@pytest.mark.timeout(3600)
def test_in_a_cluster_the_same_bytes_make_the_same_bytes_and_the_same_state() -> None:
    passed_on = pinned = 0
    for story in stories(MemberStory, EXAMPLES // 2):
        passed_on += story.passed_on
        pinned += sum(story.fast.engine.counters.joins.values())
    assert passed_on and pinned, "what is another controller's, and joins, were met"
