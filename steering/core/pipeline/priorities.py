"""The pipeline of a switch: all priorities of all tables, and which tables may follow.

All rules take their priorities from here. Where prefixes of rules may overlap, a number that grows with the prefix
length is added to the priority. The largest such number is the width of a level. `docs/design/pipeline.rst` is
generated from `LEVELS`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from steering.model.rules import OLD_PATH_PRIORITY, Resubmit, Rule, Table
from steering.model.session_rule import SESSION_PRIORITY

LENGTH = 128  # the longest prefix

# GUARD
ALLOW, ALLOW_COPIED, COPIED_TO, ALLOW_RESET, RESET_TO = 30_000, 30_130, 30_260, 30_390, 30_520
DENY, WALL = 30_650, 30_850
TINY, PROBED, DHCP, EXPIRED, LISTEN, ANSWER, CORE, DETOUR, DISCOVER = (
    34_000, 34_100, 34_200, 35_000, 40_000, 40_200, 50_000, 51_000, 60_000,
)  # fmt: skip
HALF_TAGGED, TAGGED, UNTAG = 60_900, 61_000, 61_001
# SOURCE
UNBOUND, BOUND = 1, 1_000
# SESSION
NO_ENTRY, PINNED, SYNS = 0, SESSION_PRIORITY, 65_000
# CLASSIFY
PLAIN, REVERSE_JOIN, SYN_ACKS, RETURN, PUNT, KNOWN, AHEAD, EXCEPT, BLOCKED = (
    0, 700, 900, 2_000, 3_000, 3_500, 4_000, 4_400, 5_000,
)  # fmt: skip
# ROUTE
ROUTED = 1_000
# LABEL
LABELLED, SHARED, ON_PATH, ASIDE, HELD = 1_000, 1_500, 1_600, 1_900, OLD_PATH_PRIORITY
SUBSCRIBER, M_SESSION, SUBFLOW = 2_000, 2_100, 2_200
# HOST
MISS, TRANSIT, ONWARD, HOST = 1, 500, 900, 1_000
# ND
ADVERTISED, ADVERTISED_TAGGED = 1, 2


class PriorityLevel(NamedTuple):
    """The rules of one table with priorities from `lowest` to `lowest` + `width`. `what`: what they match and do."""

    table: Table
    lowest: int
    width: int
    what: str
    then: frozenset[Table] = (
        frozenset()
    )  # tables that may follow; if empty, the packet is dropped, leaves or goes to the controller


def _level(table: Table, lowest: int, what: str, *then: Table, width: int = 0) -> PriorityLevel:
    return PriorityLevel(table, lowest, width, what, frozenset(then))


_T = Table
LEVELS: tuple[PriorityLevel, ...] = (
    _level(_T.GUARD, UNTAG, "tags of attachments: popped, and GUARD anew as the tagged port", _T.GUARD),
    _level(_T.GUARD, TAGGED, "any other tagged packet, dropped"),
    _level(_T.GUARD, HALF_TAGGED, "packets that have the outer one of an attachment's two tags alone, dropped"),
    _level(_T.GUARD, DISCOVER, "LLDP: copied between switches, ends at attachment ports", width=1),
    _level(_T.GUARD, DETOUR, "packets on their way around a link that is down", _T.LABEL),
    _level(_T.GUARD, CORE, "packets from another switch", _T.LABEL),
    _level(_T.GUARD, ANSWER, "ARP, ND and echo to a virtual gateway, answered", _T.ND, width=LENGTH),
    _level(_T.GUARD, LISTEN, "ARP and ND, copied", width=LENGTH),
    _level(_T.GUARD, EXPIRED, "packets whose TTL runs out here, copied", width=LENGTH),
    _level(_T.GUARD, DHCP, "DHCP where hosts are told by it, to the controller"),
    _level(_T.GUARD, PROBED, "answers of MCPs to probes, to the controller"),
    _level(_T.GUARD, TINY, "first fragments that end within the TCP header, dropped"),
    _level(_T.GUARD, WALL, "sources that a list keeps from an MCP, dropped", width=LENGTH),
    _level(_T.GUARD, DENY, "sources that belong to others, dropped", width=LENGTH),
    _level(_T.GUARD, RESET_TO, "resets of MCPs towards an access network, copied", _T.SESSION, width=LENGTH),
    _level(_T.GUARD, ALLOW_RESET, "resets of MCPs, copied", _T.SESSION, width=LENGTH),
    _level(_T.GUARD, COPIED_TO, "FINs towards an access network, copied", _T.SESSION, width=LENGTH),
    _level(_T.GUARD, ALLOW_COPIED, "FINs and ICMP errors, copied", _T.SESSION, _T.SOURCE, width=LENGTH),
    _level(_T.GUARD, ALLOW, "sources that may send", _T.SESSION, _T.SOURCE, width=LENGTH),
    _level(_T.SOURCE, BOUND, "a source that is bound to its port", _T.SESSION),
    _level(_T.SOURCE, UNBOUND, "any other, to the controller: whoever has it answers there"),
    _level(_T.SESSION, SYNS, "SYNs of hosts and servers, leased: they meet no entry", _T.CLASSIFY),
    _level(_T.SESSION, PINNED, "a pinned subflow, to its MCP or from it", _T.LABEL),
    _level(_T.SESSION, NO_ENTRY, "all else", _T.CLASSIFY),
    _level(_T.CLASSIFY, BLOCKED, "SYNs of a flow with an unknown token, dropped"),
    _level(_T.CLASSIFY, EXCEPT, "set ahead: to MCPs and access networks, SYNs punted", _T.ROUTE, width=1),
    _level(_T.CLASSIFY, AHEAD, "set ahead: from a subscriber to servers", _T.LABEL, width=2 * LENGTH + 1),
    _level(_T.CLASSIFY, KNOWN, "the same of known hosts of a flooded port, each by its own meter"),
    _level(_T.CLASSIFY, PUNT, "SYNs while the lease lasts, to the controller"),
    _level(_T.CLASSIFY, RETURN, "set ahead: from servers to a subscriber", _T.LABEL, width=2 * LENGTH),
    _level(_T.CLASSIFY, SYN_ACKS, "SYN/ACKs of MCPs, copied", _T.ROUTE, width=LENGTH),
    _level(_T.CLASSIFY, REVERSE_JOIN, "SYNs that MCPs send of their own, copied", _T.ROUTE, width=LENGTH),
    _level(_T.CLASSIFY, PLAIN, "all else", _T.ROUTE),
    _level(_T.ROUTE, ROUTED, "a prefix; later, where it counts, by role; last, TCP", _T.LABEL, width=4 * LENGTH + 3),
    _level(_T.LABEL, SUBFLOW, "a reserved subflow gets its path, metered"),
    _level(_T.LABEL, M_SESSION, "a reserved M-session gets its path, metered"),
    _level(_T.LABEL, SUBSCRIBER, "a subscriber's reserved traffic gets its path, metered"),
    _level(_T.LABEL, HELD, "a live flow keeps the path it had when a weight changed"),
    _level(_T.LABEL, ASIDE, "while a weight changes: all traffic by the old paths"),
    _level(_T.LABEL, ON_PATH, "a label with a reservation's path number", _T.HOST),
    _level(_T.LABEL, SHARED, "what is not reserved shares the rest of a link, metered"),
    _level(_T.LABEL, LABELLED, "a label: to the next switch, or reached here", _T.HOST),
    _level(_T.HOST, HOST, "a known host: to its port"),
    _level(_T.HOST, ONWARD, "a host behind another port of its network: led on", _T.LABEL),
    _level(_T.HOST, TRANSIT, "an MCP or next hop: to its port"),
    _level(_T.HOST, MISS, "an unknown host: the controller asks for it"),
    _level(_T.ND, ADVERTISED_TAGGED, "the same for a tagged port: it gets its tags"),
    _level(_T.ND, ADVERTISED, "a neighbour advertisement is finished and sent back"),
)  # fmt: skip

_BY_TABLE = {table: [level for level in LEVELS if level.table is table] for table in Table}


def level_of(rule: Rule) -> PriorityLevel | None:
    """The level of a rule, by its table and priority; None if no level of the table has this priority."""
    return next(
        (one for one in _BY_TABLE[Table(rule.table)] if 0 <= rule.priority - one.lowest <= one.width), None
    )


def faults_of(rule: Rule) -> Iterator[str]:
    """The faults of a rule: its priority belongs to no level, or it leads to a table that its level may not reach."""
    level = level_of(rule)
    if level is None:
        yield f"{Table(rule.table).name} has no priority {rule.priority}"
        return
    reached = [action.table for action in rule.actions if isinstance(action, Resubmit)]
    for table in [*reached, *([] if rule.goto is None else [rule.goto])]:
        if table not in level.then:
            yield f"{level.table.name} {level.lowest} ({level.what}) may not lead to {Table(table).name}"
