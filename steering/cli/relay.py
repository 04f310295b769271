"""`steering relay`: run the MCP, print or install the kernel rules it needs, or ask a running one for its status."""

import argparse
import json
import sys

from steering.relay import rules
from steering.relay.finishing import wait_finished
from steering.relay.logs import Log
from steering.relay.options import (
    MAX_SESSIONS,
    Interception,
    OptionError,
    RelayOptions,
    ServerLeg,
    parse_bound,
    parse_choice,
    parse_inside,
    parse_ports,
    parse_prefixes,
    parse_source_mode,
)
from steering.relay.relay import Relay
from steering.relay.sockets import PlatformError, check_platform
from steering.relay.status import QueryError, query, table

SUMMARY = "relay MPTCP connections of hosts to servers: the MCP of labs and small sites"

FINISH_S = 0.4
"""How long a relay that ends waits for connections that ended in order; it has to be gone within a second."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options; their values are checked by `steering.relay.options`, which refuses in one line."""
    add = parser.add_argument
    add(
        "--source-mode",
        metavar="MODE",
        help="how the server leg gets its source address; required: transparent",
    )
    add(
        "--port",
        action="append",
        default=[],
        metavar="N[-M]",
        help="service port or range, one listener a port",
    )
    add(
        "--prefix",
        action="append",
        default=[],
        metavar="CIDR",
        help="service addresses to intercept, IPv4 or IPv6",
    )
    add("--inside", action="append", default=[], metavar="IFACE", help="intercept only what comes in here")
    add("--interception", default="all", metavar="WHICH", help="all SYNs (default), or only those with mptcp")
    add(
        "--server-leg", default="mptcp", metavar="KIND", help="mptcp (default; the server may decline) or tcp"
    )
    add("--max-sessions", default="4000", metavar="N", help="live sessions; one more is reset (default 4000)")
    add(
        "--dial-timeout",
        default="20",
        metavar="SECONDS",
        help="give a server this long to answer (default 20)",
    )
    add("--status", metavar="PATH", help="local status socket to open, mode 0600")
    add("--nft", action="store_true", help="print the kernel rules and sysctls as a shell script, and end")
    add("--apply", action="store_true", help="install them while running, in a table of its own")
    add("--log-json", action="store_true", help="log as JSON, one object a line")
    add("--verbose", action="store_true", help="log every session")
    add("--query", metavar="PATH", help="print the status of the relay that has this status socket, and end")
    add("--json", action="store_true", help="with --query: the document as it is")


def run(args: argparse.Namespace) -> int:
    """Exit status 0; 1 if a status could not be read; 2 for bad options or a machine that cannot relay."""
    if args.query is not None:
        return _query(args.query, args.json)
    try:
        options = _options(args)
        if args.nft:
            print(rules.script(options), end="")
            return 0
        _serve(options, Log(args.log_json, args.verbose), args.apply)
    except (OptionError, PlatformError, rules.RuleError) as error:
        print(f"steering relay: {error}", file=sys.stderr)
        return 2
    return 0


def _options(args: argparse.Namespace) -> RelayOptions:
    if args.json:
        raise OptionError("--json goes with --query")
    options = RelayOptions(
        source_mode=parse_source_mode(args.source_mode),
        ports=parse_ports(args.port),
        prefixes=parse_prefixes(args.prefix),
        inside=parse_inside(args.inside),
        interception=parse_choice("--interception", args.interception, Interception),
        server_leg=parse_choice("--server-leg", args.server_leg, ServerLeg),
        max_sessions=parse_bound("--max-sessions", args.max_sessions, 1, MAX_SESSIONS),
        dial_timeout=parse_bound("--dial-timeout", args.dial_timeout, 1, 600),
        status=args.status,
    )
    if (args.nft or args.apply) and not options.prefixes:
        raise OptionError(
            "--nft and --apply need at least one --prefix: the servers' addresses, e.g. 10.9.0.0/24"
        )
    return options


def _serve(options: RelayOptions, log: Log, apply: bool) -> None:
    check_platform(will_enable=apply)
    if not apply:
        Relay(options, log).run()
        return
    rules.apply_sysctls()  # before the sockets: they need net.mptcp.enabled
    relay = Relay(options, log)
    try:
        relay.run(prepare=lambda: rules.install(options))
    finally:
        if wait_finished(options.ports, FINISH_S):
            rules.remove()
        else:
            rules.retire()
            log.event(
                "rule kept", table=rules.TABLE, reason="connections that ended are still being delivered"
            )


def _query(path: str, as_json: bool) -> int:
    try:
        document = query(path)
    except QueryError as error:
        print(f"steering relay: {error}", file=sys.stderr)
        return 1
    print(json.dumps(document, indent=2) if as_json else table(document))
    return 0
