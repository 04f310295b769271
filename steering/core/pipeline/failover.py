"""Failover of links within the switch, in milliseconds: a fast-failover group for each port that labels leave by.

The first bucket of a group is the port. The second bucket leads around the port's link (core.network.detours):

1. The middle of the label's prefix becomes the number of the detour.
2. The switches on the detour forward by this number.
3. The far end of the link restores the prefix. Label, waypoint and path number arrive unchanged, so a session's
   segments reach their MCP.

A packet on a detour meets no group before the detour's end, so it never enters a second detour.

OpenFlow sends no packet out of its ingress port. A packet that begins or ends a detour may have to go back, so the
ingress port is cleared there. It is cleared nowhere else: while switches disagree on the paths, two of them could
send a packet to and fro.

A group takes a port to be down when the port has no carrier or, where BFD runs, when the other end does not answer
(docs/failover.rst). Failover needs no controller. The controller then computes the remaining shortest paths.
"""

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from math import inf
from types import MappingProxyType

from steering.core.network.detours import way_around
from steering.core.network.edges import Pair
from steering.core.network.graph import Ends, Graph
from steering.core.network.switch import Switches
from steering.core.pipeline.match_fields import match
from steering.core.pipeline.pieces import PendingRules
from steering.core.pipeline.priorities import DETOUR
from steering.model.ids import DatapathId, PortNumber
from steering.model.numbers import stable_id
from steering.model.rules import (
    GROUP_BASE,
    GROUP_PORTS,
    LABEL_PREFIX,
    VIRTUAL_MAC,
    Bucket,
    FailoverGroup,
    GroupAction,
    OutputAction,
    Rule,
    RuleAction,
    SetBits,
    Table,
    static_cookie,
)

DETOURS = "detours"  # the name of the piece with the rules of detours
PREFIX_MIDDLE = 24  # the lowest bit, in a label, of the last 16 of the prefix's 24 bits
PLAIN = LABEL_PREFIX & 0xFFFF
TAKEN = frozenset({0, PLAIN, int(VIRTUAL_MAC.replace(":", "")[2:6], 16)})
FORGET_PORT = SetBits("in_port", 0, 32, 0)
NUMBERS = 0xFFFF - len(TAKEN)


class Failover:
    """Finds the detours, link by link (`advance`), when the reconcile has time. `disabled` is for a negative control:
    labels then lead to ports, not to groups."""

    def __init__(
        self, graph: Graph, epochs: Mapping[DatapathId, int], switches: Switches, disabled: bool = False
    ) -> None:
        self._graph = graph
        self._epochs = epochs
        self._switches = switches
        self._disabled = disabled
        self._todo: dict[Pair, None] = {}
        self._better = False  # whether better detours may have become possible, for any pair
        self._ways: dict[Pair, tuple[Ends, ...]] = {}  # pair of switches -> the links of its detour
        self._weights: dict[Pair, float] = {}  # edge -> its weight when it was last looked at
        self._over: dict[Pair, dict[Pair, None]] = {}  # edge -> the pairs whose detour uses it
        self._numbers: dict[int, Pair] = {}
        self._number_of: dict[Pair, int] = {}
        self._through: dict[
            DatapathId, dict[Pair, tuple[PortNumber, PortNumber | None]]
        ] = {}  # switch -> pair whose detour crosses it -> port in, and port out (None at the end)
        self._used: dict[DatapathId, dict[PortNumber, None]] = {}  # switch -> ports that rules use by groups
        # Switches that got a new such port since `groups` was last called for them.
        self.newly_used: set[DatapathId] = set()
        self.links_changed(graph.pairs())

    # ---- following the graph --------------------------------------------------------------------

    def links_changed(self, pairs: Iterable[Pair]) -> None:
        """Links between these pairs of switches changed. A link that is lost or dearer concerns the detours that use it.
        A link that is new or cheaper may improve any detour."""
        if self._disabled:
            return
        for pair in pairs:
            weight = self._graph.paths.edges(pair[0]).get(pair[1], inf)
            before = self._weights.get(pair, inf)
            if weight < inf:
                self._weights[pair] = weight
            else:
                self._weights.pop(pair, None)
            if weight < before:
                self._better = True
            else:
                self._todo[pair] = None
                self._todo |= self._over.get(pair, {})

    @property
    def busy(self) -> bool:
        """Whether there are more links to look at."""
        return bool(self._todo) or self._better

    def advance(self) -> tuple[set[DatapathId], int]:
        """Find the detour of the next pair of switches. Returns the switches whose rules or groups change, and how many
        switches the search settled. When no pair is left and new links came, all pairs are looked at once more."""
        if not self._todo:
            self._todo, self._better = dict.fromkeys(self._graph.pairs()), False
        if not self._todo:
            return set(), 0
        pair = next(iter(self._todo))
        del self._todo[pair]
        way, settled = way_around(self._graph, *pair) if self._graph.links_between(*pair) else ((), 0)
        if len(way) > 1 and not self._numbered(pair):
            way = ()
        before = self._ways.get(pair, ())
        found = {pair[0]} if pair not in self._ways else set()
        if way:
            self._ways[pair] = way
        else:
            self._ways.pop(pair, None)
        if before == way:
            return found, settled
        for near, far in before:
            self._over[near.dpid, far.dpid].pop(pair, None)
        for near, far in way:
            self._over.setdefault((near.dpid, far.dpid), {})[pair] = None
        for ends in before:
            self._through.get(ends[1].dpid, {}).pop(pair, None)
        if len(way) > 1:
            for ends, following in zip_longest(way, way[1:]):
                out = None if following is None else following[0].port
                self._through.setdefault(ends[1].dpid, {})[pair] = (ends[1].port, out)
        else:
            self._numbers.pop(self._number_of.pop(pair, -1), None)
        return {pair[0], *(ends[1].dpid for ends in (*before, *way))}, settled

    def _numbered(self, pair: Pair) -> bool:
        """Give a detour its number. The number is derived from the two switches, so it is mostly the same after a
        restart. False if no number is left."""
        if pair in self._number_of:
            return True
        if len(self._numbers) >= NUMBERS:
            return False
        number = stable_id(f"{pair[0]:x} around to {pair[1]:x}")
        while number in self._numbers or number in TAKEN:
            number = number + 1 & 0xFFFF
        self._numbers[number], self._number_of[pair] = pair, number
        return True

    # ---- what switches hold ---------------------------------------------------------------------

    def way_out(self, dpid: DatapathId, port: PortNumber) -> RuleAction:
        """The action by which labels leave a switch through a port: the port's group, or the port if there is none."""
        if self._disabled or port > GROUP_PORTS or not self._switches.takes_groups(dpid):
            return OutputAction(port)
        used = self._used.setdefault(dpid, {})
        if port not in used:
            used[port] = None
            self.newly_used.add(dpid)
        return GroupAction(GROUP_BASE | port)

    def groups(
        self, dpid: DatapathId, held: Mapping[int, FailoverGroup] = MappingProxyType({})
    ) -> dict[int, FailoverGroup]:
        """The groups that a switch should hold, by number. `held`: the groups that it holds. A group of a port that no
        longer has a link stays as it is, since rules may still use it."""
        self.newly_used.discard(dpid)
        if self._disabled or not self._switches.takes_groups(dpid):
            return {}
        found = {}
        for far in self._graph.paths.edges(dpid):
            port = self._graph.link_used(dpid, far)[0].port
            if port <= GROUP_PORTS:
                buckets = (Bucket(port, (OutputAction(port),)), *self._around(dpid, far, port))
                found[GROUP_BASE | port] = FailoverGroup(GROUP_BASE | port, buckets)
        for port in self._used.get(dpid, ()):
            number = GROUP_BASE | port
            plain = FailoverGroup(number, (Bucket(port, (OutputAction(port),)),))
            found.setdefault(number, held.get(number, plain))
        return found

    def _around(self, dpid: DatapathId, far: DatapathId, port: PortNumber) -> tuple[Bucket, ...]:
        way = self._ways.get((dpid, far))
        if not way or way[0][0].port == port:
            return ()
        out = way[0][0].port
        actions: list[RuleAction] = [FORGET_PORT, OutputAction(out)]
        if len(way) > 1:
            actions.insert(0, SetBits("eth_dst", PREFIX_MIDDLE, 16, self._number_of[dpid, far]))
        return (Bucket(out, tuple(actions)),)

    def rules(self, dpid: DatapathId) -> PendingRules:
        """The rules of a switch for packets on the detours that cross it, in portions."""
        hops = [(self._number_of[pair], *hop) for pair, hop in self._through.get(dpid, {}).items()]
        return PendingRules((self._rule(dpid, *hop) for hop in hops), lambda _: None)

    def _rule(self, dpid: DatapathId, number: int, port: PortNumber, out: PortNumber | None) -> Rule:
        cookie = static_cookie(self._epochs[dpid])
        label = (f"02:{number >> 8:02x}:{number & 0xFF:02x}:00:00:00", "ff:ff:ff:00:00:00")
        fields = match(in_port=port, eth_dst=label)
        if out is not None:
            return Rule(Table.GUARD, DETOUR, fields, (OutputAction(out),), cookie=cookie)
        back = (SetBits("eth_dst", PREFIX_MIDDLE, 16, PLAIN), FORGET_PORT)
        return Rule(Table.GUARD, DETOUR, fields, back, Table.LABEL, cookie=cookie)
