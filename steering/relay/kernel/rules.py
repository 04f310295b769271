"""What the kernel must be told so that SYNs for the service ports reach the relay's listeners.

Sources: measured facts of kernel MPTCP (listener-port rule, TPROXY set-up). The settings are in `sysctls`.

How the nft rules tell a new connection from a relayed one: the relay's listeners are wildcard sockets, its
connections are not. A segment whose only local match is a wildcard listener belongs to no relayed connection; its SYN
is taken when it goes to a service prefix and port, everything else of it is forwarded untouched. Any other transparent
socket (established, handshake pending, TIME_WAIT, either leg) gets its segments by the second rule. Without that order
`socket transparent` alone would pull in every destination of a service port, whatever its prefix.
"""

from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address
from types import MappingProxyType
from typing import NamedTuple

from steering.relay.kernel import dscp, mss, sysctls
from steering.relay.kernel.commands import RuleError, command
from steering.relay.kernel.implicit_mode import announcing, silencing
from steering.relay.model import Network, Ranges, RelayInterception, UnknownOptions
from steering.relay.options.relay_options import RelayOptions
from steering.relay.options.roles import LISTEN_PORT
from steering.relay.options.source_mode import IDENTIFIER_BITS, RelaySourceMode
from steering.wire.options import COMMON, KEYED

TABLE = "steering_relay"
MARK = 0x5354
ROUTE_TABLE = 5354
POOL_PROTOCOL = 84
"""Marks the routes that make a pool local (AnyIP), so that they and no others are taken away."""

RULE_PRIORITY = 90
"""Before any source-routing rule of the machine: a marked segment is the relay's, wherever it came from."""

SUBFLOW_LIMIT = 8
LATE_S = 60
"""How long after a connection's last segment one that comes late is still known for its own: past retransmissions."""

MAX_LATE = 65_536
ADD_ADDR = 3
JOIN = 1
"""Subtypes; nft knows MPTCP's only by their numbers."""

_SIGNED = "    tcp option md5sig exists counter accept\n    tcp option 29 exists counter accept\n"
"""First of all (D-6.7.6): a SYN with TCP-MD5 or TCP-AO is its receiver's alone, and so is the rest of its connection."""

_ERRORS = (
    "    meta l4proto { icmp, ipv6-icmp } socket wildcard 0 socket transparent 1"
    f" counter meta mark set {MARK:#x} accept\n"
)
"""An ICMP error goes to whoever sent what it quotes: for a leg with another's address that is no address of this machine.
The kernel finds the quoted connection's socket, and its TCP judges the error by the quoted sequence number (RFC 5927)."""

WITHOUT: Mapping[str, str] = {
    "prerouting": "segments do not find the relay's sockets",
    "fresh": "SYNs are taken that should go by, or go by that should be taken",
    "taken": "SYNs are not taken",
    "ours": "segments of relayed connections are forwarded",
    "late": "late MPTCP of sessions that are over reaches the other end",
    "discretion": "the MCP's own address is announced to servers",
}
"""What goes wrong without a chain of the relay's table."""


class NftTable(NamedTuple):
    """An nft table: its text, which replaces it, and what goes wrong without it, or without one of its chains."""

    name: str
    text: str
    without: str
    chains: Mapping[str, str] = MappingProxyType({})


def ruleset(options: RelayOptions) -> str:
    """The nft table as text for `nft -f`; it replaces the relay's own table and no other."""
    if options.role.takes_plain:
        return _plain_ruleset(options)
    quoted = [f'"{name}"' for name in options.inside]
    inside = f"iifname {_set(quoted)} " if quoted else ""
    elsewhere = (
        "    meta l4proto tcp goto fresh\n" if options.listener else ""
    )  # most SYNs match no socket then
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
{_late()}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{_identifiers(options)}{_ERRORS}    meta l4proto tcp socket wildcard 1 goto fresh
    meta l4proto tcp socket transparent 1 goto ours
{elsewhere}  }}
  chain fresh {{
    tcp flags & (fin | syn | rst | ack) != syn accept
{_SIGNED}    tcp option mptcp subtype {JOIN} goto taken
{_others(options)}    goto taken
  }}
  chain taken {{
{takes}
  }}
{_discretion(options)}""")


def _others(options: RelayOptions) -> str:
    """SYNs that go on untouched (D-6.7.3, D-6.7.4): their options fill the space, or one of them no relay carries on.

    Each kind has a rule of its own: nft has no set of kinds. A join is exempt, it ends here or nowhere.
    """
    lines = "    tcp doff 15 counter accept\n"
    if options.unknown_options is UnknownOptions.BYPASS:
        kinds = (kind for kind in range(256) if kind not in COMMON | KEYED)
        lines += "".join(f"    tcp option {kind} exists counter accept\n" for kind in kinds)
    return lines


def _late() -> str:
    """MPTCP is between us and a peer alone (S-15). What a peer sent before it heard that its session is over meets no
    socket any more and would be forwarded to the other end, which knows of no MPTCP: it is reset instead. Only 4-tuples
    whose MPTCP met a socket of ours are meant: others' MPTCP goes its way, also what began while no relay was here.
    """
    sets, notes, resets = [], [], []
    for word, kind in (("ip", "ipv4_addr"), ("ip6", "ipv6_addr")):
        key = f"{word} saddr . tcp sport . {word} daddr . tcp dport"
        sets.append(f"""\
  set late_{word} {{
    type {kind} . inet_service . {kind} . inet_service; flags dynamic; timeout {LATE_S}s; size {MAX_LATE};
  }}
""")
        notes.append(f"    tcp option mptcp exists update @late_{word} {{ {key} }}\n")
        resets.append(f"    tcp option mptcp exists {key} @late_{word} counter reject with tcp reset\n")
    return f"""\
{"".join(sets)}  chain ours {{
    meta mark set {MARK:#x}
{"".join(notes)}    accept
  }}
  chain late {{
    type filter hook forward priority filter; policy accept;
{"".join(resets)}  }}"""


def _discretion(options: RelayOptions) -> str:
    """The kernel announces an MCP's own addresses on both legs of a relayed session. Towards servers nobody is
    to learn them (N-7.1): an announcement there is a segment of its own without data (RFC 8684 3.4.1), and ends here."""
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
    """For roles that take plain TCP. A SYN with an MPTCP option is somebody's own MPTCP and goes its way (N-5.2.2.1e).

    The listener has another number than the service, so most fresh segments match no socket at all.
    """
    ports = _set(_elements(options.ranges))
    quoted = [f'"{name}"' for name in options.inside]
    elsewhere = f"    iifname != {_set(quoted)} accept\n" if quoted else ""
    takes = "\n".join(
        f"    {where}tcp dport {ports} tproxy {word} to :{LISTEN_PORT} meta mark set {MARK:#x} accept"
        for word, where in _anywhere_or(options.prefixes)
    )
    return _table(f"""\
{_late()}
  chain prerouting {{
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
    """Service ports of a family as nft elements: none that would need an application gateway (N-5.4.1.2)."""
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
    """Whatever goes to an identifier of ours, under any prefix, is for this machine."""
    lines = []
    for pool in options.source.identifiers:
        mask = IPv6Address(int(pool.netmask) & (1 << IDENTIFIER_BITS) - 1)
        lines.append(f"    ip6 daddr & {mask} == {pool.network_address} meta mark set {MARK:#x} accept\n")
    return "".join(lines)


def _table(chains: str) -> str:
    """A text that replaces our table in one transaction, whether it was there or not."""
    return f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{chains}}}\n"


def _by_family(prefixes: Iterable[Network]) -> list[tuple[str, list[str]]]:
    families: dict[str, list[str]] = {"ip": [], "ip6": []}
    for prefix in prefixes:
        families["ip" if prefix.version == 4 else "ip6"].append(str(prefix))
    return [(word, listed) for word, listed in families.items() if listed]


def _set(items: Iterable[str]) -> str:
    return "{ " + ", ".join(items) + " }"


def _port_ranges(ports: tuple[int, ...]) -> list[str]:
    """Sorted ports as nft elements, neighbours joined: (80, 81, 82, 443) -> ["80-82", "443"]."""
    runs: list[list[int]] = []
    for port in ports:
        if runs and runs[-1][1] == port - 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return _elements(tuple((low, high) for low, high in runs))


def routing(options: RelayOptions) -> tuple[str, ...]:
    """Commands that deliver marked segments, and all that is for a pool's addresses, to this machine.

    Without the second whatever no connection claims (a ping, a late segment) would go to and fro between the MCP
    and the network until its TTL is over. Repeated runs leave one rule (see `unrouting`).
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
    """Commands that undo `routing`; each may fail when there is nothing to undo."""
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
    """All of it as a shell script, to read or to run as root; running it twice changes nothing more."""
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
    """The command that bounds subflows; a relay that dials what has several addresses also takes announced ones."""
    dials = options.role.takes_plain or options.inbound is not None
    accepted = f" add_addr_accepted {SUBFLOW_LIMIT}" if dials else ""
    return f"ip mptcp limits set subflows {SUBFLOW_LIMIT}{accepted}"


def tables(options: RelayOptions) -> tuple[NftTable, ...]:
    """The nft tables that a relay with these options needs."""
    found = [NftTable(TABLE, ruleset(options), "nothing is intercepted", WITHOUT)]
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


def install(options: RelayOptions) -> None:
    """Routes, rules and the nft table, replacing what an earlier relay left. Raises RuleError, having undone all."""
    try:
        for line in unrouting():
            command(line, must=False)
        for line in routing(options):
            command(line)
        for table in tables(options):
            command("nft -f -", text=table.text)
    except RuleError:
        remove()
        raise


def retire() -> None:
    """Leave only what connections still being delivered by the kernel need: their own segments, no new connection.

    Once they are over the rule matches nothing; the next relay replaces it. Raises RuleError.
    """
    command(
        "nft -f -",
        text=_table(f"""\
{_late()}
  chain prerouting {{
    type filter hook prerouting priority mangle; policy accept;
{_ERRORS}    meta l4proto tcp socket transparent 1 goto ours
  }}
"""),
    )


def remove() -> None:
    """Take the nft table, rules and routes away; what is not there is no error."""
    command(f"nft delete table inet {TABLE}", must=False)
    dscp.remove()
    mss.remove()
    for line in unrouting():
        command(line, must=False)
