"""The options of `steering relay`, by subject. `steering.relay.options` checks their values."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, by role. `steering.relay.options` checks their values, and refuses a wrong one in one line."""
    _add_interception(parser)
    _add_explicit_mode(parser)
    _add_segments(parser)
    _add_bounds(parser)
    _add_controller(parser)
    _add_actions(parser)
    _add_downstream(parser)
    _add_upstream(parser)


def _add_interception(parser: argparse.ArgumentParser) -> None:
    """Add the options for connections taken from hosts, and for the connections to servers."""
    add = parser.add_argument
    add(
        "--role",
        default="downstream",
        metavar="ROLE",
        help="downstream (default): MPTCP of hosts to servers; upstream: plain TCP of a CPE's LAN to MPTCP; "
        "data-centre: plain TCP of anyone to MPTCP servers",
    )
    _many(parser, "--port", "N[-M]", "service port or range; upstream and data-centre: all where not given")
    _many(
        parser,
        "--prefix",
        "CIDR",
        "service addresses to intercept, IPv4 or IPv6; upstream: all where not given",
    )
    _many(parser, "--inside", "IFACE", "intercept only what comes in here; upstream: the LAN, required")
    add(
        "--server-leg", default="mptcp", metavar="KIND", help="mptcp (default; the server may decline) or tcp"
    )
    _many(parser, "--mptcp-off", "CIDR", "never offer MPTCP to these servers; 0.0.0.0/0 for none of IPv4")
    add(
        "--slow-threshold",
        metavar="SECONDS",
        help="a server that takes so long to answer MPTCP gets TCP from then on (default 2.5)",
    )
    add("--slow-ttl", metavar="SECONDS", help="for how long (default 86400; 0: it is tried each time)")
    add(
        "--plain-ttl",
        metavar="SECONDS",
        help="a server that answers MPTCP by plain TCP gets TCP for so long (default 600; 0, or a kernel before Linux 5.16, which does "
        "not tell: it is offered MPTCP each time)",
    )


def _add_explicit_mode(parser: argparse.ArgumentParser) -> None:
    """Add the options for hosts that address the MCP itself."""
    add = parser.add_argument
    add(
        "--explicit",
        action="append",
        default=[],
        metavar="HOW[:PORT]",
        help="listen for hosts that address the MCP itself and say where to: convert (8803), socks (1080)",
    )
    add(
        "--convert-cookies", action="store_true", help="convert: only hosts that can receive at their address"
    )
    add(
        "--socks-users", metavar="FILE", help="socks: lines of name:password, one of which a host has to know"
    )


def _add_segments(parser: argparse.ArgumentParser) -> None:
    """Add the options that hold for both legs, and those for traffic that the relay does not take."""
    add = parser.add_argument
    add("--dscp", default="preserve", metavar="HOW", help="from leg to leg: preserve (default) or ignore")
    _many(parser, "--dscp-remap", "FROM:TO", "re-mark this code point, both ways")
    add(
        "--mss-clamp",
        default="auto",
        metavar="BYTES",
        help="segment size on both legs: auto (default; the path MTU), a number, or off",
    )
    add(
        "--unknown-options",
        default="bypass",
        metavar="HOW",
        help="SYNs with a TCP option that no relay carries on: bypass (default; forwarded as they are) or relay",
    )
    add(
        "--via", metavar="URL", help="upstream: reach servers by this MCP, convert://ADDR:PORT or socks://..."
    )
    add("--fast-open", action="store_true", help="with --via convert: the destination goes with the SYN")


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    """Add the options that bound numbers of connections and waiting times."""
    add = parser.add_argument
    add("--max-sessions", default="4000", metavar="N", help="live sessions; one more is reset (default 4000)")
    add("--dial-timeout", default="20", metavar="SECONDS", help="for a server to answer (default 20)")


def _add_controller(parser: argparse.ArgumentParser) -> None:
    """Add the options of a controller that the relay reports to."""
    add = parser.add_argument
    add("--status", metavar="PATH", help="local status socket to open, mode 0600")
    add("--controller", metavar="URL", help="carry out what this controller wants of live subflows")
    add("--mcp", metavar="NAME", help="with --controller: this MCP's name in the site file")
    add(
        "--token-file",
        metavar="FILE",
        help="a bearer token: of role mcp with --controller, of role device with --discover",
    )
    add(
        "--ca-file",
        metavar="FILE",
        help="with --controller and --discover: the CA of its certificate (default: the system's)",
    )
    add(
        "--bindings",
        action="store_true",
        help="with --controller: keep ports open for devices that ask it for them; joins are then the kernel's own, "
        "and nothing is carried out of what the controller wants of subflows",
    )


def _add_actions(parser: argparse.ArgumentParser) -> None:
    """Add the options for other actions than relaying, and for the output."""
    add = parser.add_argument
    add("--nft", action="store_true", help="print the kernel rules and sysctls as a shell script, and end")
    add(
        "--apply",
        action="store_true",
        help="install them while running, in a table of its own; one relay of a network namespace can",
    )
    add(
        "--check",
        action="store_true",
        help="say what the kernel lacks of what a relay with these options needs, a line each, and end: status 1",
    )
    add("--log-json", action="store_true", help="log as JSON, one object a line")
    add("--verbose", action="store_true", help="log every session")
    add("--query", metavar="PATH", help="print the status of the relay that has this status socket, and end")
    add("--json", action="store_true", help="with --query: the document as it is; with --check: a list")
    add(
        "--metrics",
        nargs="?",
        const="",
        metavar="ADDRESS:PORT",
        help="serve the counters at http://ADDRESS:PORT/metrics, of this machine alone; with --query: print them",
    )
    add(
        "--metrics-anywhere",
        action="store_true",
        help="let --metrics listen beyond this machine's own addresses",
    )


def _add_downstream(parser: argparse.ArgumentParser) -> None:
    """Add the options of an MCP near the access."""
    down = parser.add_argument_group("downstream and data-centre")
    _many(
        down,
        "--source-mode",
        "[FAMILY=]MODE",
        "how the server leg gets its source address; required: transparent, shared, one-to-one, ipv6-prefix, "
        "ipv6-address or nptv6, or one for each family: ipv4=shared, ipv6=nptv6",
    )
    _add_source_arguments(down)
    down = parser.add_argument_group("downstream")
    down.add_argument(
        "--interception", default="all", metavar="WHICH", help="all SYNs (default), or only those with mptcp"
    )
    down.add_argument(
        "--marked-ports", metavar="N-M", help="take only what comes from these source ports (demux)"
    )
    _many(down, "--advertise", "ADDR[:PORT]", "tell hosts this address of the MCP's own (implicit mode)")
    down.add_argument(
        "--c-flag", action="store_true", help="tell hosts not to join by the server's address (implicit mode)"
    )
    down.add_argument(
        "--listener",
        metavar="PORT",
        help="one listener for all --port instead of one each; with --c-flag and --advertise ADDR:PORT",
    )


def _add_upstream(parser: argparse.ArgumentParser) -> None:
    """Add the options of a CPE."""
    up = parser.add_argument_group("upstream")
    _many(up, "--uplink", "IFACE", "an uplink, once for each; the first carries what is opened")
    up.add_argument("--source-ports", metavar="N-M", help="mark what this relay opens by its source port")
    _many(up, "--deny-mptcp-to", "CIDR", "LAN hosts may not open MPTCP to these addresses")
    up.add_argument(
        "--discover", metavar="URL", help="ask this controller (https) which addresses those are: its MCPs'"
    )
    _many(up, "--inner-cpe", "CIDR", "a CPE behind this one, whose marked connections keep their mark")


def _many(where: argparse._ActionsContainer, name: str, metavar: str, text: str) -> None:
    where.add_argument(name, action="append", default=[], metavar=metavar, help=text)


def _add_source_arguments(group: argparse._ActionsContainer) -> None:
    """Add the options of the source modes that give other addresses than the host's (docs/source-modes.rst)."""
    add = group.add_argument
    _many(group, "--pool", "CIDR", "addresses to give; for ipv6-prefix identifiers such as ::5354:1:0:0/96")
    add(
        "--sharing-ratio",
        metavar="N",
        help="shared: subscribers of one address, 64512/N ports each (default 1)",
    )
    add("--nat64", metavar="PREFIX", help="IPv6 hosts reach IPv4 servers under this /96, e.g. 64:ff9b::/96")
    add("--subscriber-length", metavar="BITS", help="the IPv6 prefix that is one subscriber (default 64)")
    _many(
        group,
        "--referral-port",
        "N[-M]",
        "ipv6-prefix: ports never relayed, since their protocols carry addresses (default: FTP, RTSP, H.323, SIP)",
    )
    add(
        "--mapping-hold",
        metavar="SECONDS",
        help="an idle subscriber keeps what it has so long (default 3600)",
    )
    add(
        "--mapping-log",
        metavar="FILE",
        help="who had which address when, JSON lines; 'off' for none (default: on where addresses are shared)",
    )
    add("--log-destinations", action="store_true", help="the mapping log also names each session's server")
    add("--ident", metavar="FILE", help="ask each host who it is (RFC 1413); serve those in FILE, one a line")
    add("--name", metavar="NAME", help="this MCP's name in the mapping log (default: the machine's)")
