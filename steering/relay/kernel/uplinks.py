"""A CPE's uplinks: read from the machine as its DHCP client or operator left them, and made fit for MPTCP.

An uplink's own addresses leave by itself (a routing table each), and the kernel opens a subflow from each of them. What
is not relayed is masqueraded. A relay that ends by a signal takes all of it away, as it found the machine; what one that
was killed left serves the CPE's hosts on, and the next start replaces it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from steering.relay.kernel import check_routes
from steering.relay.kernel.commands import RuleError, command
from steering.relay.model import Network, Upstream
from steering.relay.options.roles import MAX_UPLINKS, unmarked

TABLE = "steering_cpe"
FIRST_ROUTE_TABLE = 5360
RULE_PRIORITY = 70
"""Of the first uplink, counting up: before the relay's own rule, which is for marked segments."""

MOST_OLDER = 4
"""Addresses that an uplink had before and still has: IPv6 privacy addresses go after days, and two overlap."""

FAMILIES = ((4, ""), (6, "-6 "))


@dataclass(frozen=True, slots=True)
class Uplink:
    """An interface with its global addresses and the gateways of its default routes, by IP version ("" for none)."""

    interface: str
    addresses: tuple[str, str] = ("", "")
    gateways: tuple[str, str] = ("", "")
    older: tuple[str, ...] = ()
    """Addresses that it had before and still has: what was opened from them goes on by this uplink."""
    index: int = 0
    """The interface's number while it is up and has a carrier; 0 else, and where nobody looked."""

    @property
    def all_addresses(self) -> tuple[str, ...]:
        """Those that it is used by now, then the older ones."""
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


def read(names: Sequence[str]) -> tuple[Uplink, ...]:
    """The machine's uplinks. Raises RuleError for one that is missing or has no global address."""
    return tuple(_read(name) for name in names)


def _read(name: str) -> Uplink:
    found = {4: "", 6: ""}
    for interface in json.loads(command(f"ip -j addr show dev {name}") or "[]"):
        for item in interface.get("addr_info", ()):
            version = 6 if item["family"] == "inet6" else 4
            if item.get("scope") == "global" and not found[version]:
                found[version] = item["local"]
    if not any(found.values()):
        raise RuleError(f"--uplink {name}: it has no address yet")
    return Uplink(name, (found[4], found[6]), (_gateway("", name), _gateway("-6 ", name)))


def _gateway(family: str, name: str) -> str:
    for route in json.loads(command(f"ip {family}-j route show default dev {name}") or "[]"):
        if "gateway" in route:
            return str(route["gateway"])
    return ""


def prepare(uplinks: Sequence[Uplink], inside: Sequence[str], upstream: Upstream) -> None:
    """NAT and access lists, and nothing left of an earlier relay's routing and endpoints; `settle` makes ours.

    Raises RuleError.
    """
    _unroute()
    command("ip mptcp endpoint flush")
    command("nft -f -", text=ruleset([u.interface for u in uplinks], inside, upstream))


def abandon(address: str) -> None:
    """End this machine's connections from an address that it has no more: the kernel would try to send for minutes, and
    whoever waits for it is told at once. A kernel without CONFIG_INET_DIAG_DESTROY leaves them."""
    command(f"ss -K src {_host(address)}", must=False)


def settle(number: int, before: Uplink, after: Uplink, joins: bool = True) -> None:
    """Source routing and MPTCP endpoints of the uplink of that number as it is now; `before`: as it was last settled.
    Without `joins` it gets no endpoints: nobody is to join from it now.

    Looks at what is there and makes what lacks, since the kernel drops routes by itself (a link that went down, an
    interface that was made anew). Raises RuleError where something cannot be made yet.
    """
    # Positions count: the first uplink's endpoint is of another kind, and each has a table of its own.
    ways = [*[Uplink("")] * number, after]
    lines = routing(ways)
    if joins:
        lines += [line for line in endpoints(ways) if " add " in line]
    for lacking in check_routes.lacking(lines, lambda line: command(line) or ""):
        command(lacking.line.replace(" route add ", " route replace "))
    # Last, so that a session of one uplink always has a subflow, or one on its way.
    for address in before.all_addresses:
        if address not in after.all_addresses:
            family = "-6 " if ":" in address else ""
            command(f"ip {family}rule del pref {RULE_PRIORITY + number} from {address}", must=False)
            drop_endpoint(address)


def _unroute() -> None:
    for number in range(MAX_UPLINKS):
        for line in unrouting(number):
            for _ in range(MOST_OLDER + 2):  # a rule for each address, and they go one by one
                if command(line, must=False) is None or " route " in line:
                    break


def remove(uplinks: Sequence[Uplink]) -> None:
    """Take away what `prepare` and changes of uplinks since have made; what is not there is no error."""
    command(f"nft delete table inet {TABLE}", must=False)
    _unroute()
    for uplink in uplinks:
        for address in uplink.all_addresses:
            drop_endpoint(address)


def carries_subflows(uplink: Uplink) -> bool:
    """Whether a subflow, or any connection of this machine's own, stands from one of its addresses. Raises RuleError."""
    return any(
        (command(f"ss -tnH state established src {_host(address)}") or "").strip()
        for address in uplink.all_addresses
    )


def invite(number: int, uplink: Uplink) -> None:
    """Have live sessions join from this uplink once more: the kernel opens subflows when an endpoint is made, and a join
    that failed then is not tried again. Raises RuleError."""
    for address in uplink.all_addresses:
        _delete_endpoint(address)
    for line in endpoints([*[Uplink("")] * number, uplink]):
        if " add " in line:
            command(line)


def _host(address: str) -> str:
    """An address as `ss` takes it."""
    return f"[{address}]" if ":" in address else address


def set_aside(uplink: Uplink) -> None:
    """End the subflows from an uplink: what they carried is sent by others at once. Its routes stay, for dials."""
    for address in uplink.all_addresses:
        drop_endpoint(address)


def drop_endpoint(address: str) -> None:
    """The kernel opens nothing more from this address, and ends subflows that were; none there is no error.

    A session's first subflow has the address id 0, whatever endpoint has its address: it is ended by that id.
    """
    _delete_endpoint(address)
    command(f"ip mptcp endpoint delete id 0 {address}", must=False)


def _delete_endpoint(address: str) -> None:
    for row in check_routes.rows(command("ip -j mptcp endpoint show", must=False) or ""):
        if row.get("address") == address:
            command(f"ip mptcp endpoint delete id {row['id']}", must=False)


def script(uplinks: Sequence[Uplink], inside: Sequence[str], upstream: Upstream) -> str:
    """What `prepare` does as shell lines, to read or to run as root."""
    undo = [f"{line} 2>/dev/null || true" for number in range(len(uplinks)) for line in unrouting(number)]
    table = ruleset([u.interface for u in uplinks], inside, upstream)
    return "\n".join([*undo, *routing(uplinks), *endpoints(uplinks), f"nft -f - <<'NFT'\n{table}NFT\n"])


def routing(uplinks: Sequence[Uplink]) -> list[str]:
    """Commands by which what has an uplink's own address leaves by that uplink."""
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
    """Commands that undo `routing` for one uplink; each may fail when there is nothing to undo."""
    return [
        line
        for _, family in FAMILIES
        for line in (
            f"ip {family}rule del pref {RULE_PRIORITY + number}",
            f"ip {family}route flush table {FIRST_ROUTE_TABLE + number}",
        )
    ]


def endpoints(uplinks: Sequence[Uplink]) -> list[str]:
    """Commands that let the kernel open subflows from every uplink; the address a session was opened from it knows and passes over.

    Uplinks after the first go for all that a peer announces (fullmesh): in implicit mode the MCP's own address is the
    only one to be joined, and Linux would else join it from the first uplink, which has the session already (N-F7).
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
    """The nft table as text: masquerading that stays out of the mark's window, and what LAN hosts may not open."""
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
    """N-5.3f: whoever is inside opens no MPTCP to these addresses, the relay's own sessions do not pass here."""
    return "".join(
        f"    iifname {lan} {_word(prefix)} daddr {prefix} tcp option mptcp exists counter drop\n"
        for prefix in prefixes
    )


def _kept(lan: str, wan: str, upstream: Upstream) -> str:
    """N-5.2.2.1e: what an inner CPE marked keeps its mark."""
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
