"""A session entry as a rule. It is the reference for byte templates and fake tables."""

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
    """The rule of an entry: it matches the exact 5-tuple and the ingress port's role, sets the label, decrements the
    TTL and goes to table LABEL.

    It has no timeout: a pin lives until it is removed. A watched entry sends a copy of each segment, as it came in,
    through a meter in the action. An entry that punts keeps its label, so that it can be read back whole, but
    forwards nothing. Raises KeyError for a family other than 4 and 6, ValueError for an address whose length does not
    fit the family.
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
