"""A session entry as a rule. The byte templates of the OpenFlow adapter and the fake tables of tests have to agree with
this rule."""

from ipaddress import ip_address

from steering.model.rules import (
    ROLE_MASK,
    ROLE_SHIFT,
    DecTtl,
    FieldValue,
    Meter,
    Rule,
    RuleAction,
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

    The rule has no timeout: a pin lives until the controller removes it. A watched entry sends a copy of each unchanged
    segment to the controller, through a meter in the action. An entry that punts forwards nothing, but keeps its label
    so that its waypoint can be read back. Raises ValueError for an address that is not of the entry's family.
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
    actions: tuple[RuleAction, ...] = (label, DecTtl())
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
