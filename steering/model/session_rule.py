"""A session entry as a rule: the reference form that byte templates and fake tables are held to."""

from ipaddress import ip_address

from steering.model.rules import (
    ROLE_MASK,
    ROLE_SHIFT,
    Action,
    DecTtl,
    FieldValue,
    Meter,
    Rule,
    SetField,
    Table,
    ToController,
    label_mac,
)
from steering.model.session import Entry, Watch

SESSION_PRIORITY = 40_000
_TCP = 6
_ETH_TYPE = {4: 0x0800, 6: 0x86DD}


def session_rule(entry: Entry) -> Rule:
    """Exact 5-tuple qualified by the ingress port's role -> label, TTL, table LABEL.

    No timeouts: a pin lives until it is removed. A watched entry copies each segment, as it
    came in, through a meter in the action; one that punts keeps its label, so that it can be read back whole,
    but leads nowhere. Raises KeyError for a family other
    than 4 and 6, ValueError for addresses of another length than the family's.
    """
    source, target = ip_address(entry.src), ip_address(entry.dst)
    if not source.version == target.version == entry.family:
        raise ValueError(f"addresses {source}, {target} in an entry of family {entry.family}")
    match: dict[str, FieldValue] = {
        "metadata": (entry.role << ROLE_SHIFT, ROLE_MASK),
        "eth_type": _ETH_TYPE[entry.family],
        "ip_proto": _TCP,
        f"ipv{entry.family}_src": str(source),
        f"ipv{entry.family}_dst": str(target),
        "tcp_src": entry.sport,
        "tcp_dst": entry.dport,
    }
    label = SetField("eth_dst", label_mac(entry.waypoint, entry.path))
    copy = ToController(Meter.WATCH)
    actions: tuple[Action, ...] = (label, DecTtl())
    if entry.watch == Watch.COPY:
        actions = (copy, label, DecTtl())
    elif entry.watch == Watch.PUNT:
        actions = (copy, label)
    return Rule(
        table=Table.SESSION,
        priority=SESSION_PRIORITY,
        match=tuple(sorted(match.items())),
        actions=actions,
        goto=None if entry.watch == Watch.PUNT else Table.LABEL,
        cookie=entry.cookie,
    )
