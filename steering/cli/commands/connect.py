"""`steering connect`: explicit mode on a host. It passes connections of applications to an MCP, over MPTCP."""

import argparse
import sys
from ipaddress import ip_address

from steering.relay.log import Log
from steering.relay.model import Forward, OptionError, PlatformError, RelayInterception, ServerLeg
from steering.relay.options.explicit_mcp import parse_endpoint, parse_via
from steering.relay.options.relay_options import MAX_SESSIONS, RelayOptions
from steering.relay.options.source_mode import UPLINK
from steering.relay.options.values import parse_bound
from steering.relay.relay import Relay
from steering.relay.session.dialler import dial_own

SUMMARY = "on a host: reach a server through an MCP named by --via, over MPTCP (explicit mode)"
EXAMPLE: str = "steering connect --via convert://10.8.0.2:8803 --listen 127.0.0.1:8443 10.9.0.2:443"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options. A wrong value is refused in one line."""
    add = parser.add_argument
    add(
        "--via",
        required=True,
        metavar="URL",
        help="the MCP: convert://ADDRESS:PORT or socks://[USER:PASSWORD@]ADDRESS:PORT",
    )
    add("--listen", required=True, metavar="ADDRESS:PORT", help="where applications of this host connect to")
    add("--from", dest="source", default="", metavar="ADDRESS", help="the address of the first subflow")
    add("--fast-open", action="store_true", help="convert: the destination goes with the SYN (TCP Fast Open)")
    add("--max-sessions", default="256", metavar="N", help="connections at a time (default 256)")
    add("--dial-timeout", default="20", metavar="SECONDS", help="for the MCP to answer (default 20)")
    add("--status", metavar="PATH", help="local status socket to open, mode 0600")
    add("--verbose", action="store_true", help="log every connection")
    add("server", metavar="SERVER:PORT", help="the server to reach, an IPv6 address in brackets")


def run(args: argparse.Namespace) -> int:
    """Serve until a signal, then return 0. Returns 2 for wrong options or a port that is in use."""
    try:
        via = parse_via(args.via, args.fast_open)
        forward = Forward(parse_endpoint("--listen", args.listen), parse_endpoint("SERVER", args.server))
        source = _source(args.source)
        options = RelayOptions(
            source=UPLINK,
            ports=(),
            prefixes=(),
            inside=(),
            interception=RelayInterception.ALL,
            server_leg=ServerLeg.MPTCP,
            max_sessions=parse_bound("--max-sessions", args.max_sessions, 1, MAX_SESSIONS),
            dial_timeout=parse_bound("--dial-timeout", args.dial_timeout, 1, 600),
            status=args.status,
            via=via,
            forward=(forward,),
            dscp=None,
        )
        Relay(
            options,
            Log(as_json=False, verbose=args.verbose),
            lambda _client, mcp, leg, _mark: dial_own(leg, mcp, source, via.fast_open),
        ).run()
    except (OptionError, PlatformError) as error:
        print(f"steering connect: {error}", file=sys.stderr)
        return 2
    return 0


def _source(text: str) -> str:
    try:
        return str(ip_address(text)) if text else ""
    except ValueError:
        raise OptionError(f"--from {text}: an address of this host") from None
