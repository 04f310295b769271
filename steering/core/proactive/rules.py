"""The entries of proactive insertion in table CLASSIFY. They lead all TCP of a prefix to one MCP, in both directions.

    5000     SYNs of blocked flows (handshakes.unknown_token_block)    dropped
    4400 +   access, to an MCP or another access                SYN: punted   else: ROUTE
    4001 +2l access, SYN from a prefix with old sessions at another MCP       punted
    4000 +2l access, from a prefix (length l) to a gateway's    -> the MCP's inside
    3000     SYNs                                               punted (core.pipeline.forwarding)
    2000 +2l gateway, to a prefix                               -> the MCP's outside
     900 +l  SYN/ACKs of MCPs                                   copied, ROUTE

The entries match the role of the ingress port. Packets from an MCP match none of them, so there are no loops. A session that
the controller has decided about has exact entries in table SESSION, which comes first.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import NamedTuple

from steering.core.network.site_index import SiteMap
from steering.core.pipeline.forwarding import SYN, asked_match, role_match
from steering.core.pipeline.match_fields import IPV4, IPV6, TCP, match, prefix_value
from steering.core.pipeline.priorities import AHEAD, EXCEPT, RETURN
from steering.model.ids import DatapathId, McpId, PortNumber, WaypointId
from steering.model.network import Network, PortRole
from steering.model.rules import (
    DecTtl,
    FieldValue,
    Meter,
    PacketClass,
    Rule,
    RuleAction,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
    label_mac,
    static_cookie,
)


class LedPrefix(NamedTuple):
    """A prefix whose connections are led to an MCP. `asked`: SYNs of the prefix are nevertheless sent to the controller."""

    prefix: Network
    mcp: McpId
    asked: bool


def proactive_rules(
    sitemap: SiteMap, dpid: DatapathId, epoch: int, led: Iterable[LedPrefix], unwildcard: bool = True
) -> Iterator[Rule]:
    """All entries of proactive insertion for one switch."""
    led = tuple(led)
    if not led:
        return
    here = [a for port, a in sitemap.attachments.items() if port.dpid == dpid]
    accesses = [a for a in here if a.role is PortRole.ACCESS]
    if accesses:
        ports = [a.waypoint.port.port for a in accesses]
        near = {prefix for a in accesses for prefix in a.part.prefixes}  # type: ignore[union-attr]
        towards = tuple(dict.fromkeys(sitemap.gateway_prefixes()))
        yield from _exceptions(sitemap, epoch, ports, towards)
        for one in led:
            if any(within(one.prefix, prefix) for prefix in near):
                yield from _ahead(sitemap, epoch, ports, one, towards, unwildcard)
    if any(a.role is PortRole.GATEWAY for a in here):
        for one in led:
            fields = _ip("dst", one.prefix) | {"metadata": role_match(PortRole.GATEWAY)}
            actions = _lead(sitemap.outside[one.mcp].id, unwildcard)
            yield _rule(RETURN + 2 * one.prefix.prefixlen, fields, actions, Table.LABEL, static_cookie(epoch))


def within(narrow: Network, wide: Network) -> bool:
    """Whether a prefix lies in another one, of the same family."""
    return (
        narrow.version == wide.version
        and narrow.prefixlen >= wide.prefixlen
        and narrow.network_address in wide
    )


def _ahead(
    sitemap: SiteMap,
    epoch: int,
    ports: list[PortNumber],
    one: LedPrefix,
    towards: tuple[Network, ...],
    unwildcard: bool,
) -> Iterator[Rule]:
    actions = _lead(sitemap.inside[one.mcp].id, unwildcard)
    priority = AHEAD + 2 * one.prefix.prefixlen
    for network in towards:
        if network.version != one.prefix.version:
            continue
        fields = _ip("src", one.prefix) | _ip("dst", network) | {"metadata": role_match(PortRole.ACCESS)}
        yield _rule(priority, fields, actions, Table.LABEL, static_cookie(epoch))
        if one.asked:
            yield from _punted(epoch, priority + 1, ports, fields)


def _exceptions(
    sitemap: SiteMap, epoch: int, ports: list[PortNumber], towards: tuple[Network, ...]
) -> Iterator[Rule]:
    """The exceptions for addresses of MCPs and accesses within a gateway's prefix (such as 0.0.0.0/0): they are no servers."""
    others = [*sitemap.access_prefixes(), *(ip_network(a) for m in sitemap.site.mcps for a in m.addresses)]
    for other in dict.fromkeys(others):
        if any(within(other, network) for network in towards):
            fields = _ip("dst", other) | {"metadata": role_match(PortRole.ACCESS)}
            yield _rule(EXCEPT, fields, (), Table.ROUTE, static_cookie(epoch))
            yield from _punted(epoch, EXCEPT + 1, ports, fields)


def _punted(
    epoch: int, priority: int, ports: list[PortNumber], fields: dict[str, FieldValue]
) -> Iterator[Rule]:
    cookie = static_cookie(epoch, PacketClass.SYN)
    for port in ports:
        action = (ToController(Meter.SYN_BASE + port, 0xFFFF),)
        syn: dict[str, FieldValue] = {
            "in_port": port,
            "metadata": asked_match(PortRole.ACCESS),
            "tcp_flags": SYN,
        }
        yield _rule(priority, fields | syn, action, None, cookie)


def _lead(waypoint: WaypointId, unwildcard: bool) -> tuple[RuleAction, ...]:
    # UnwildcardFlow, so that no cached megaflow leads a new connection by entries that are gone.
    actions: tuple[RuleAction, ...] = (SetField("eth_dst", label_mac(waypoint)), DecTtl())
    return (UnwildcardFlow(), *actions) if unwildcard else actions


def _rule(
    priority: int,
    fields: dict[str, FieldValue],
    actions: tuple[RuleAction, ...],
    goto: Table | None,
    cookie: int,
) -> Rule:
    return Rule(Table.CLASSIFY, priority, match(**fields, ip_proto=TCP), actions, goto, None, cookie)


def _ip(side: str, prefix: Network) -> dict[str, FieldValue]:
    fields: dict[str, FieldValue] = {"eth_type": IPV4 if prefix.version == 4 else IPV6}
    if prefix.prefixlen:
        fields[f"ipv{prefix.version}_{side}"] = prefix_value(prefix)
    return fields
