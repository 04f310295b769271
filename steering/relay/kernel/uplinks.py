"""A CPE's uplinks: read from the machine as its DHCP client or operator has set them up, and prepared for MPTCP.

Packets from an uplink's own addresses leave by that uplink, by a routing table for each, and the kernel opens a
subflow from each address. Traffic that is not relayed is masqueraded. A relay that a signal ends removes all
settings, so that the machine is as before. The settings of a relay that was killed stay for the CPE's hosts, and the
next start replaces them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from steering.relay.kernel import check_routes
from steering.relay.kernel.commands import command
from steering.relay.model import Network, Upstream
from steering.relay.options.roles import MAX_UPLINKS, unmarked

TABLE = "steering_cpe"
FIRST_ROUTE_TABLE = 5360
RULE_PRIORITY = 70
"""The priority of the first uplink's rule; the next uplinks count up. It comes before the relay's rule for marked segments."""

MOST_OLDER = 4
"""Most older addresses that an uplink still has. IPv6 privacy addresses go away after days, and two overlap."""

FAMILIES = ((4, ""), (6, "-6 "))


@dataclass(frozen=True, slots=True)
class Uplink:
    """An interface with its global addresses and the gateways of its default routes, by IP version ("" for none)."""

    interface: str
    addresses: tuple[str, str] = ("", "")
    gateways: tuple[str, str] = ("", "")
    older: tuple[str, ...] = ()
    """Addresses that it used before and still has. Connections from them go on by this uplink."""
    index: int = 0
    """The number of the interface while it is up and has a carrier. 0 otherwise, or if it is not known."""

    @property
    def all_addresses(self) -> tuple[str, ...]:
        """The addresses that are in use, then the older ones."""
        return (*(address for address in self.addresses if address), *self.older)

    def address(self, version: int) -> str:
        """The first address of that family, or ""."""
        return self.addresses[version == 6]


def carries(interface: str) -> bool:
    """Whether the interface is up and has a carrier now."""
    try:
        return Path("/sys/class/net", interface, "carrier").read_text().strip() == "1"
    except OSError:
        return False


def prepare(uplinks: Sequence[Uplink], inside: Sequence[str], upstream: Upstream) -> None:
    """Install NAT and access lists, and remove routing and endpoints of an earlier relay. `settle` makes new ones.

    Raises RuleError.
    """
    _unroute()
    command("ip mptcp endpoint flush")
    command("nft -f -", text=ruleset([u.interface for u in uplinks], inside, upstream))


def abandon(address: str) -> None:
    """End this machine's connections from an address that it no longer has. Otherwise the kernel would try to send
    for minutes; so their users learn at once. A kernel without CONFIG_INET_DIAG_DESTROY does not end them."""
    command(f"ss -K src {_host(address)}", must=False)


def settle(number: int, before: Uplink, after: Uplink, joins: bool = True) -> None:
    """Set up source routing and MPTCP endpoints for the current state of the uplink of an index. `before`: its state
    when it was last settled. Without `joins` it gets no endpoints, so that no session joins from it.

    It reads what exists and makes what is missing, since the kernel itself removes routes when a link goes down or an
    interface is made anew. Raises RuleError where something cannot be made yet.
    """
    # The index matters: the first uplink has another kind of endpoint, and each uplink has its own table.
    ways = [*[Uplink("")] * number, after]
    lines = routing(ways)
    if joins:
        lines += [line for line in endpoints(ways) if " add " in line]
    for lacking in check_routes.lacking(lines, lambda line: command(line) or ""):
        command(lacking.line.replace(" route add ", " route replace "))
    # Old endpoints go last, so that a session of one uplink always has a subflow, or one that is being opened.
    for address in before.all_addresses:
        if address not in after.all_addresses:
            family = "-6 " if ":" in address else ""
            command(f"ip {family}rule del pref {RULE_PRIORITY + number} from {address}", must=False)
            drop_endpoint(address)


def _unroute() -> None:
    for number in range(MAX_UPLINKS):
        for line in unrouting(number):
            for _ in range(MOST_OLDER + 2):  # there is a rule for each address, and each command removes one
                if command(line, must=False) is None or " route " in line:
                    break


def remove(uplinks: Sequence[Uplink]) -> None:
    """Remove everything that `prepare` and later changes of uplinks have made, as far as it exists."""
    command(f"nft delete table inet {TABLE}", must=False)
    _unroute()
    for uplink in uplinks:
        for address in uplink.all_addresses:
            drop_endpoint(address)


def carries_subflows(uplink: Uplink) -> bool:
    """Whether this machine has a connection from one of an uplink's addresses, a subflow or another. Raises
    RuleError."""
    return any(
        (command(f"ss -tnH state established src {_host(address)}") or "").strip()
        for address in uplink.all_addresses
    )


def invite(number: int, uplink: Uplink) -> None:
    """Have live sessions join from this uplink once more. The kernel opens subflows when an endpoint is made, and
    does not repeat a join that failed. Raises RuleError."""
    for address in uplink.all_addresses:
        _delete_endpoint(address)
    for line in endpoints([*[Uplink("")] * number, uplink]):
        if " add " in line:
            command(line)


def _host(address: str) -> str:
    """An address in the form for `ss`."""
    return f"[{address}]" if ":" in address else address


def set_aside(uplink: Uplink) -> None:
    """End the subflows from an uplink. Their data are sent by other subflows at once. The uplink's routes stay for
    dials."""
    for address in uplink.all_addresses:
        drop_endpoint(address)


def drop_endpoint(address: str) -> None:
    """Remove the endpoint of an address, if it exists. The kernel opens no further subflows from it and ends existing
    ones.

    A session's first subflow has address id 0, whatever endpoint has its address. It is ended by that id.
    """
    _delete_endpoint(address)
    command(f"ip mptcp endpoint delete id 0 {address}", must=False)


def _delete_endpoint(address: str) -> None:
    for row in check_routes.rows(command("ip -j mptcp endpoint show", must=False) or ""):
        if row.get("address") == address:
            command(f"ip mptcp endpoint delete id {row['id']}", must=False)


def script(uplinks: Sequence[Uplink], inside: Sequence[str], upstream: Upstream) -> str:
    """The commands of `prepare` as shell lines, to read or to run as root."""
    undo = [f"{line} 2>/dev/null || true" for number in range(len(uplinks)) for line in unrouting(number)]
    table = ruleset([u.interface for u in uplinks], inside, upstream)
    return "\n".join([*undo, *routing(uplinks), *endpoints(uplinks), f"nft -f - <<'NFT'\n{table}NFT\n"])


def routing(uplinks: Sequence[Uplink]) -> list[str]:
    """Commands by which packets from an uplink's own addresses leave by that uplink."""
    lines = []
    for number, uplink in enumerate(uplinks):
        table = FIRST_ROUTE_TABLE + number
        for version, family in FAMILIES:
            gateway = uplink.gateways[version == 6]
            addresses = [one for one in uplink.all_addresses if (6 if ":" in one else 4) == version]
            if addresses:
                via = f"via {gateway} " if gateway else ""
                lines.append(f"ip {family}route add default {via}dev {uplink.interface} table {table}")
                lines += [
                    f"ip {family}rule add pref {RULE_PRIORITY + number} from {address} table {table}"
                    for address in addresses
                ]
    return lines


def unrouting(number: int) -> list[str]:
    """Commands that undo `routing` for one uplink. Each may fail where there is nothing to undo."""
    return [
        line
        for _, family in FAMILIES
        for line in (
            f"ip {family}rule del pref {RULE_PRIORITY + number}",
            f"ip {family}route flush table {FIRST_ROUTE_TABLE + number}",
        )
    ]


def endpoints(uplinks: Sequence[Uplink]) -> list[str]:
    """Commands by which the kernel opens subflows from every uplink. It leaves out the address from which a session
    was opened.

    Uplinks after the first join all addresses that a peer announces (fullmesh). In implicit mode only the MCP's own
    address may be joined, and otherwise Linux would join it from the first uplink, which has the session already
    (N-F7).
    """
    lines = ["ip mptcp endpoint flush"]
    for number, uplink in enumerate(uplinks):
        flags = "subflow fullmesh" if number else "subflow"
        lines += [
            f"ip mptcp endpoint add {address} dev {uplink.interface} {flags}"
            for address in uplink.all_addresses
        ]
    return lines


def ruleset(uplinks: Sequence[str], inside: Sequence[str], upstream: Upstream) -> str:
    """The nft table as text: masquerading with source ports outside of the mark's window, and connections that LAN
    hosts may not open."""
    lan, wan = _names(inside), _names(uplinks)
    return f"""\
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
  chain forward {{
    type filter hook forward priority filter; policy accept;
{_denials(lan, upstream.deny_mptcp_to)}  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
{_kept(lan, wan, upstream)}{_others(lan, wan, upstream)}  }}
}}
"""


def _denials(lan: str, prefixes: tuple[Network, ...]) -> str:
    """Rules by which hosts inside cannot open MPTCP to these addresses (N-5.3f). The relay's own sessions do not pass
    this chain."""
    return "".join(
        f"    iifname {lan} {_word(prefix)} daddr {prefix} tcp option mptcp exists counter drop\n"
        for prefix in prefixes
    )


def _kept(lan: str, wan: str, upstream: Upstream) -> str:
    """Rules by which connections that an inner CPE has marked keep their mark (N-5.2.2.1e)."""
    if upstream.source_ports is None:
        return ""
    low, high = upstream.source_ports
    return "".join(
        f"    iifname {lan} oifname {wan} {_word(prefix)} saddr {prefix} tcp sport {low}-{high}"
        f" masquerade to :{low}-{high}\n"
        for prefix in upstream.inner
    )


def _others(lan: str, wan: str, upstream: Upstream) -> str:
    path = f"    iifname {lan} oifname {wan}"
    if upstream.source_ports is None:
        return f"{path} masquerade\n"
    low, high = unmarked(upstream.source_ports)
    return f"{path} meta l4proto {{ tcp, udp }} masquerade to :{low}-{high}\n{path} masquerade\n"


def _word(prefix: Network) -> str:
    return "ip" if ip_address(prefix.network_address).version == 4 else "ip6"


def _names(interfaces: Sequence[str]) -> str:
    return "{ " + ", ".join(f'"{name}"' for name in interfaces) + " }"
