"""The kernel rules by which SYNs to service ports reach the relay's listeners.

Sources: measured facts of kernel MPTCP (listener-port rule, TPROXY set-up). The settings are in `sysctls`.

The nft rules tell a new connection from a relayed one by this: the relay's listeners are wildcard sockets, and its
connections are not. A segment that matches no local socket but a wildcard listener belongs to no relayed connection.
Its SYN is taken when it goes to a service prefix and port; all other such segments are forwarded unchanged. Any other
transparent socket (established, in a handshake, in TIME_WAIT, of either leg) gets its segments by the second rule.
With `socket transparent` alone, segments to a service port of any destination would be taken.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import NamedTuple

from steering.relay.kernel import dscp, mss, sysctls
from steering.relay.kernel.commands import RuleError, command
from steering.relay.kernel.implicit_mode import announcing, silencing
from steering.relay.kernel.late_segments import (
    FAMILIES,
    NO_FLOWS,
    Flows,
    calming,
    flows_of,
    late,
    listing,
    resuming,
)
from steering.relay.model import Network, Ranges, RelayInterception, UnknownOptions
from steering.relay.options.relay_options import RelayOptions
from steering.relay.options.roles import LISTEN_PORT
from steering.relay.options.source_mode import IDENTIFIER_BITS, RelaySourceMode
from steering.wire.options import COMMON, KEYED

TABLE = "steering_relay"
MARK = 0x5354
ROUTE_TABLE = 5354
POOL_PROTOCOL = 84
"""Marks the routes that make a pool local (AnyIP), so that exactly these routes can be removed."""

RULE_PRIORITY = 90
"""Comes before any source-routing rule of the machine, since a marked segment is the relay's, from anywhere."""

SUBFLOW_LIMIT = 8
ADD_ADDR = 3
JOIN = 1
"""Subtypes of MPTCP options, which nft knows only by number."""

_SIGNED = "    tcp option md5sig exists counter accept\n    tcp option 29 exists counter accept\n"
"""The first rules (D-6.7.6): a SYN with TCP-MD5 or TCP-AO goes to its receiver, and so does the rest of its connection."""

_ERRORS = (
    "    meta l4proto { icmp, ipv6-icmp } socket wildcard 0 socket transparent 1"
    f" counter meta mark set {MARK:#x} accept\n"
)
"""An ICMP error is addressed to the sender of the packet it quotes. For a leg with a host's or server's address this is no
address of this machine, so the error is marked for delivery here. The kernel finds the socket of the quoted connection, and
its TCP judges the error by the quoted sequence number (RFC 5927)."""

WITHOUT: Mapping[str, str] = {
    "prerouting": "segments do not find the relay's sockets",
    "fresh": "SYNs are taken that should go by, or go by that should be taken",
    "taken": "SYNs are not taken",
    "ours": "segments of relayed connections are forwarded",
    "late": "late MPTCP of sessions that are over reaches the other end",
    "over": "late MPTCP of sessions that are over is not reset",
    "discretion": "the MCP's own address is announced to servers",
}
"""What goes wrong where a chain of the relay's table is missing."""


class NftTable(NamedTuple):
    """An nft table: its text, which replaces the table, and what goes wrong without the table or one of its chains."""

    name: str
    text: str
    without: str
    chains: Mapping[str, str] = MappingProxyType({})


def ruleset(options: RelayOptions, before: Flows = NO_FLOWS) -> str:
    """The nft table as text for `nft -f`. It replaces the relay's own table and no other. `before`: the 4-tuples that the
    table of an earlier run knows (late_segments)."""
    if options.role.takes_plain:
        return _plain_ruleset(options)
    quoted = [f'"{name}"' for name in options.inside]
    inside = f"iifname {_set(quoted)} " if quoted else ""
    elsewhere = (
        "    meta l4proto tcp goto fresh\n" if options.listener else ""
    )  # most SYNs match no socket in that case
    told = is_told(options)
    to = options.listener or "tcp dport"
    option = "tcp option mptcp exists " if options.interception is RelayInterception.MPTCP else ""
    if options.marked:
        option += "tcp sport {}-{} ".format(*options.marked)
    takes = "\n".join(
        f"    {inside}{option}{word} daddr {_set(prefixes)} tcp dport {_set(ports)}"
        f" tproxy {word} to :{to} meta mark set {MARK:#x} accept"
        for word, prefixes in _by_family(options.prefixes)
        if (ports := _relayed_ports(options, word))
    )
    return _table(f"""\
{late(MARK, told, before if told else NO_FLOWS)}  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{_identifiers(options)}{_ERRORS}    meta l4proto tcp socket wildcard 1 goto fresh
    meta l4proto tcp socket transparent 1 goto ours
{elsewhere}  }}
  chain fresh {{
    tcp flags & (fin | syn | rst | ack) != syn {"goto over" if told else "accept"}
{_SIGNED}    tcp option mptcp subtype {JOIN} goto taken
{_others(options)}    goto taken
  }}
  chain taken {{
{takes}
  }}
{_discretion(options)}""")


def is_told(options: RelayOptions) -> bool:
    """Whether a controller tells hosts and servers when this relay has died. Explicit mode's listeners say nothing of
    whether a relay lives."""
    return options.agent is not None and not options.listener


def _others(options: RelayOptions) -> str:
    """Rules for SYNs that are forwarded unchanged (D-6.7.3, D-6.7.4): their options fill the space, or a relay cannot
    pass one of them on.

    Each kind of option has a rule, as nft has no sets of kinds. Joins are exempt, since they can end only at this
    relay.
    """
    lines = "    tcp doff 15 counter accept\n"
    if options.unknown_options is UnknownOptions.BYPASS:
        kinds = (kind for kind in range(256) if kind not in COMMON | KEYED)
        lines += "".join(f"    tcp option {kind} exists counter accept\n" for kind in kinds)
    return lines


def _discretion(options: RelayOptions) -> str:
    """Rules that drop announcements to servers. The kernel announces an MCP's own addresses on both legs of a
    session, but servers must not learn them (N-7.1). An announcement is a segment without data (RFC 8684 3.4.1)."""
    lines = "\n".join(
        f"    {word} daddr {_set(prefixes)} tcp option mptcp subtype {ADD_ADDR} drop"
        for word, prefixes in _by_family(options.prefixes)
    )
    return f"""\
  chain discretion {{
    type filter hook output priority mangle; policy accept;
{lines}
  }}
"""


def _plain_ruleset(options: RelayOptions) -> str:
    """The table for roles that take plain TCP. A SYN with an MPTCP option is a host's own MPTCP, and is forwarded
    (N-5.2.2.1e).

    The listener's port differs from the service's, so most segments of new connections match no socket.
    """
    ports = _set(_elements(options.ranges))
    quoted = [f'"{name}"' for name in options.inside]
    elsewhere = f"    iifname != {_set(quoted)} accept\n" if quoted else ""
    takes = "\n".join(
        f"    {where}tcp dport {ports} tproxy {word} to :{LISTEN_PORT} meta mark set {MARK:#x} accept"
        for word, where in _anywhere_or(options.prefixes)
    )
    return _table(f"""\
{late(MARK)}  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{_ERRORS}    meta l4proto tcp socket wildcard 1 goto fresh
    meta l4proto tcp socket transparent 1 goto ours
    meta l4proto tcp goto fresh
  }}
  chain fresh {{
{elsewhere}    tcp flags & (fin | syn | rst | ack) != syn accept
    tcp option mptcp exists accept
{_SIGNED}{_others(options)}    fib daddr type != unicast accept
{takes}
  }}
""")


def _anywhere_or(prefixes: tuple[Network, ...]) -> list[tuple[str, str]]:
    if not prefixes:
        return [("ip", "meta nfproto ipv4 "), ("ip6", "meta nfproto ipv6 ")]
    return [(word, f"{word} daddr {_set(listed)} ") for word, listed in _by_family(prefixes)]


def _relayed_ports(options: RelayOptions, word: str) -> list[str]:
    """The service ports of a family as nft elements, without ports that would need an application gateway
    (N-5.4.1.2)."""
    if options.listener:
        return _elements(options.ranges)
    return _port_ranges(_own_listeners(options, word))


def _elements(ranges: Ranges) -> list[str]:
    return [str(low) if low == high else f"{low}-{high}" for low, high in ranges]


def _own_listeners(options: RelayOptions, word: str) -> tuple[int, ...]:
    if word == "ip" or options.source.ipv6 is not RelaySourceMode.IPV6_PREFIX:
        return options.ports
    return tuple(port for port in options.ports if port not in options.source.referral_ports)


def _identifiers(options: RelayOptions) -> str:
    """Rules by which packets to an interface identifier of this MCP, under any prefix, are delivered to this
    machine."""
    lines = []
    for pool in options.source.identifiers:
        mask = IPv6Address(int(pool.netmask) & (1 << IDENTIFIER_BITS) - 1)
        lines.append(f"    ip6 daddr & {mask} == {pool.network_address} meta mark set {MARK:#x} accept\n")
    return "".join(lines)


def _table(chains: str) -> str:
    """The text that replaces our table in one transaction, whether the table exists or not."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{chains}}}\n"


def _by_family(prefixes: Iterable[Network]) -> list[tuple[str, list[str]]]:
    families: dict[str, list[str]] = {"ip": [], "ip6": []}
    for prefix in prefixes:
        families["ip" if prefix.version == 4 else "ip6"].append(str(prefix))
    return [(word, listed) for word, listed in families.items() if listed]


def _set(items: Iterable[str]) -> str:
    return "{ " + ", ".join(items) + " }"


def _port_ranges(ports: tuple[int, ...]) -> list[str]:
    """Sorted ports as nft elements, with neighbours joined: (80, 81, 82, 443) -> ["80-82", "443"]."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return _elements(tuple((low, high) for low, high in runs))


def routing(options: RelayOptions) -> tuple[str, ...]:
    """Commands by which marked segments, and all packets to a pool's addresses, are delivered to this machine.

    Without the latter, a packet to a pool that belongs to no connection (a ping, a late segment) would be sent to and
    fro between the MCP and the network until its TTL has run out. Repeated runs leave one rule (see `unrouting`).
    """
    pools = tuple(
        f"ip {'' if pool.version == 4 else '-6 '}route replace local {pool} dev lo table local proto {POOL_PROTOCOL}"
        for pool in options.source.addresses
    )
    return (
        pools
        + tuple(
            line
            for family in ("", "-6 ")
            for line in (
                f"ip {family}route replace local default dev lo table {ROUTE_TABLE}",
                f"ip {family}rule add pref {RULE_PRIORITY} fwmark {MARK:#x}/0xffff lookup {ROUTE_TABLE}",
            )
        )
        + announcing(options.advertise)
    )


def unrouting() -> tuple[str, ...]:
    """Commands that undo `routing`. Each may fail where there is nothing to undo."""
    return (
        tuple(
            line
            for family in ("", "-6 ")
            for line in (
                f"ip {family}rule del pref {RULE_PRIORITY} fwmark {MARK:#x}/0xffff lookup {ROUTE_TABLE}",
                f"ip {family}route flush table {ROUTE_TABLE}",
                f"ip {family}route flush table local proto {POOL_PROTOCOL}",
            )
        )
        + silencing()
    )


def script(options: RelayOptions) -> str:
    """All settings as a shell script, to read or to run as root. A second run changes nothing."""
    undo = "\n".join(f"{line} 2>/dev/null || true" for line in unrouting())
    return f"""\
#!/bin/sh
# What `steering relay` needs of the kernel; `steering relay --apply` does the same and undoes it at its end.
set -e
{sysctls.script(options)}
{limits(options)}
{undo}
{chr(10).join(routing(options))}
nft -f - <<'NFT'
{"".join(table.text for table in tables(options))}NFT
"""


def limits(options: RelayOptions) -> str:
    """The command that bounds subflows. A relay that dials peers with several addresses also accepts announced
    addresses."""
    dials = options.role.takes_plain or options.inbound is not None
    accepted = f" add_addr_accepted {SUBFLOW_LIMIT}" if dials else ""
    return f"ip mptcp limits set subflows {SUBFLOW_LIMIT}{accepted}"


def tables(options: RelayOptions, before: Flows = NO_FLOWS) -> tuple[NftTable, ...]:
    """The nft tables that a relay with these options needs; `before` as in `ruleset`."""
    found = [NftTable(TABLE, ruleset(options, before), "nothing is intercepted", WITHOUT)]
    if options.dscp is not None:
        found.append(NftTable(dscp.TABLE, dscp.ruleset(dict(options.dscp)), "DSCP is not carried over"))
    found.append(
        NftTable(
            mss.TABLE, mss.ruleset(options.mss_clamp), "segments may be too large for the path (--mss-clamp)"
        )
    )
    return tuple(found)


def apply_sysctls(options: RelayOptions) -> None:
    """Write the sysctls and the subflow limit. Raises RuleError."""
    sysctls.apply(options)
    command(limits(options))


def calm(options: RelayOptions) -> bool:
    """Prepare a table that an earlier, dead run of this relay may have left, before this relay's listeners open
    (late_segments). Whether there was one."""
    return is_told(options) and command("nft -f -", text=calming(TABLE), must=False) is not None


def resume() -> None:
    """Undo `calm` where this relay does not start: the table may be that of a live relay."""
    command("nft -f -", text=resuming(TABLE), must=False)


def install(options: RelayOptions) -> None:
    """Install routes, rules and the nft tables in place of those that an earlier relay left. Undoes everything before
    it raises RuleError."""
    try:
        for line in unrouting():
            command(line, must=False)
        for line in routing(options):
            command(line)
        _load(options, _before() if is_told(options) else NO_FLOWS)
    except RuleError:
        remove()
        raise


def _before() -> Flows:
    """The 4-tuples in the table of an earlier run. To read full sets of both families, 65,536 each, takes 3.6 s of CPU, 2.8 s of
    them nft's; a relay with 4,000 sessions of two subflows has an eighth of one set. A listing that takes longer than
    COMMAND_TIMEOUT_S is given up, and no 4-tuples are taken over."""
    return {word: flows_of(command(listing(TABLE, word), must=False) or "") for word in FAMILIES}


def _load(options: RelayOptions, before: Flows) -> None:
    """Load the relay's nft tables. Raises RuleError."""
    try:
        for table in tables(options, before):
            command("nft -f -", text=table.text)
    except RuleError:
        if not any(before.values()):
            raise
        _load(
            options, NO_FLOWS
        )  # the old 4-tuples may be what nft refuses, and the relay can do without them


def retire() -> None:
    """Leave only the rule for connections for which the kernel still delivers data. No new connection is taken.

    When these connections have ended, the rule matches nothing. The next relay replaces it. Raises RuleError.
    """
    command(
        "nft -f -",
        text=_table(f"""\
{late(MARK)}  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{_ERRORS}    meta l4proto tcp socket transparent 1 goto ours
  }}
"""),
    )


def remove() -> None:
    """Remove the nft tables, rules and routes, as far as they exist."""
    command(f"nft delete table inet {TABLE}", must=False)
    dscp.remove()
    mss.remove()
    for line in unrouting():
        command(line, must=False)
