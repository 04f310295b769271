"""The commands to type at the machines of a site to set it up: at controller, switches, MCPs, servers and hosts."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from steering.model.network import Mcp, Site
from steering.model.source import SourceMode
from steering.runtime.settings import DEFAULT_LISTEN, parse_endpoint

Address = IPv4Address | IPv6Address


def switch_lines(bridges: Sequence[str], listen: str) -> Iterator[str]:
    """The commands to type at switches."""
    host, _, port = listen.rpartition(":")
    where = "CONTROLLER" if host in ("0.0.0.0", "[::]") else host
    for bridge in bridges:
        yield (
            f"ovs-vsctl set bridge {bridge} protocols=OpenFlow13 -- set-fail-mode {bridge} secure "
            f"-- set-controller {bridge} tcp:{where}:{port}"
        )


def site_commands(site: Site, bridges: Sequence[str], listen: str, file: str) -> Iterator[str]:
    """The commands that set a site up, machine by machine. A line that begins with # names the machine, or a choice.
    `listen`: where the controller listens for switches. `file`: the site file's name."""
    yield "# at the controller"
    yield _run_line(listen, file)
    yield "# at the switches"
    yield from switch_lines(bridges, listen)
    for mcp in site.mcps:
        yield from _mcp_lines(site, mcp)
    for gateway in site.gateways:
        if not gateway.next_hops and not gateway.link_hops:
            yield f"# at each server of {gateway.name}"
            yield from _default_routes(gateway.gateways)
    if site.access_networks:
        yield from _host_lines(site)


def _run_line(listen: str, file: str) -> str:
    line = f"steering run --site {file}"
    if listen != DEFAULT_LISTEN:
        line += f" --listen {listen}"
    if parse_endpoint(listen, "--listen").is_loopback:
        return line
    return f"{line} --switch-insecure    # or TLS: --switch-cert, --switch-key and --switch-ca"


def _mcp_lines(site: Site, mcp: Mcp) -> Iterator[str]:
    yield f"# at the MCP {mcp.name}"
    yield from _default_routes(mcp.gateways)
    servers = [str(prefix) for gateway in site.gateways for prefix in gateway.prefixes]
    prefixes = " ".join(f"--prefix {prefix}" for prefix in servers)
    mode = mcp.source_modes.ipv4 or mcp.source_modes.ipv6 or SourceMode.TRANSPARENT
    relay = f"steering relay --source-mode {mode.value} --port 80 --port 443 {prefixes} --apply"
    yield relay
    yield "# or: it tells the controller of its sessions, by REST with TLS (steering run --rest 0.0.0.0:8080 --rest-cert --rest-key)"
    yield f"#     steering token add --role mcp --mcp {mcp.name}    at the controller; the token goes to {mcp.name}.token"
    yield f"#     {relay} --controller https://CONTROLLER:8080 --mcp {mcp.name} --token-file {mcp.name}.token"


def _host_lines(site: Site) -> Iterator[str]:
    yield "# at each host"
    yield "sysctl -w net.mptcp.enabled=1 net.ipv4.conf.all.rp_filter=2"
    yield "ip mptcp limits set subflow 2 add_addr_accepted 2"
    yield "# and for each of its interfaces after the first, with a TABLE of its own, such as 2:"
    yield "ip mptcp endpoint add ADDRESS dev INTERFACE subflow"
    for network in site.access_networks:
        for gateway in network.gateways:
            ip = _ip(gateway)
            yield f"{ip} rule add from ADDRESS table TABLE    # in {network.name}"
            yield f"{ip} route add default via {gateway} dev INTERFACE table TABLE"


def _default_routes(gateways: Iterable[Address]) -> Iterator[str]:
    for gateway in gateways:
        yield f"{_ip(gateway)} route add default via {gateway}"


def _ip(address: Address) -> str:
    return "ip" if address.version == 4 else "ip -6"
