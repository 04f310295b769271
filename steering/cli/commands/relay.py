"""`steering relay`: runs an MCP, prints or installs the kernel rules that it needs, or asks a running one for its
status."""

import argparse
import json
import secrets
import socket
import sys
from dataclasses import replace
from pathlib import Path

from steering.cli import relay_arguments
from steering.relay import launch
from steering.relay.addresses.mapping_log import LogError
from steering.relay.kernel import dscp, mss
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.implicit_mode import parse_advertised, parse_listener
from steering.relay.kernel.path_manager import PathManagerError
from steering.relay.log import Log
from steering.relay.model import (
    ControllerAccess,
    Dscp,
    MptcpOffering,
    Network,
    OptionError,
    PlatformError,
    RelayInterception,
    RelayRole,
    ServerLeg,
    UnknownOptions,
    Upstream,
)
from steering.relay.observe import metrics
from steering.relay.observe.metrics_server import parse_place
from steering.relay.observe.status_socket import QueryError, query, table
from steering.relay.options.explicit_mcp import parse_via
from steering.relay.options.relay_options import MAX_SESSIONS, RelayOptions, parse_source
from steering.relay.options.roles import ALL_PORTS, ROLE_OPTIONS, parse_upstream, parse_window, refuse_foreign
from steering.relay.options.source_mode import UPLINK, RelaySourceMode, SourceOptions
from steering.relay.options.values import (
    parse_agent,
    parse_bound,
    parse_choice,
    parse_interfaces,
    parse_ports,
    parse_prefixes,
    parse_ranges,
)
from steering.relay.session.ident import parse_ids
from steering.relay.session.preface_queue import parse_offers, parse_users
from steering.relay.session.server_legs import parse_offering

SUMMARY = "relay MPTCP connections of hosts to servers: the MCP of labs and small sites"
EXAMPLE: str = "steering relay --source-mode transparent --port 443 --prefix 10.9.0.0/24 --apply"
add_arguments = relay_arguments.add_arguments


def run(args: argparse.Namespace) -> int:
    """Returns 0, 1 if a status could not be read or --check found something, or 2 for wrong options or a machine that
    cannot relay."""
    if args.query is not None:
        return _query(args.query, args.json, args.metrics is not None)
    try:
        options = _options(args)
        if args.nft:
            print(launch.script(options), end="")
            return 0
        if args.check:
            return _check(options, args.json)
        launch.serve(options, Log(args.log_json, args.verbose), args.apply)
    except (OptionError, LogError, PlatformError, PathManagerError, RuleError) as error:
        print(f"steering relay: {error}", file=sys.stderr)
        return 2
    return 0


def _options(args: argparse.Namespace) -> RelayOptions:
    if args.metrics == "":
        raise OptionError("--metrics needs ADDRESS:PORT to serve at, or --query to ask a relay for them")
    if args.metrics_anywhere and args.metrics is None:
        raise OptionError("--metrics-anywhere goes with --metrics ADDRESS:PORT")
    if args.json and not args.check:
        raise OptionError("--json goes with --query or --check")
    role = parse_choice("--role", args.role, RelayRole)
    refuse_foreign(role, {name: getattr(args, name.replace("-", "_")) for name in ROLE_OPTIONS})
    together = role.takes_plain or args.listener is not None
    ports = () if together else parse_ports(args.port)
    prefixes = parse_prefixes(args.prefix)
    source = UPLINK if role is RelayRole.UPSTREAM else _source(args, prefixes)
    advertised = parse_advertised(args.advertise)
    options = RelayOptions(
        source=source,
        ports=ports,
        prefixes=prefixes if source.nat64 is None else (*prefixes, source.nat64),
        inside=parse_interfaces("--inside", args.inside),
        interception=parse_choice("--interception", args.interception, RelayInterception),
        server_leg=parse_choice("--server-leg", args.server_leg, ServerLeg),
        max_sessions=parse_bound("--max-sessions", args.max_sessions, 1, MAX_SESSIONS),
        dial_timeout=parse_bound("--dial-timeout", args.dial_timeout, 1, 600),
        status=args.status,
        role=role,
        ranges=(parse_ranges("--port", args.port) or ALL_PORTS) if together else (),
        upstream=_upstream(args) if role is RelayRole.UPSTREAM else None,
        marked=parse_window("--marked-ports", args.marked_ports),
        dscp=_dscp(args),
        mss_clamp=mss.parse_clamp(args.mss_clamp),
        unknown_options=parse_choice("--unknown-options", args.unknown_options, UnknownOptions),
        explicit=parse_offers(args.explicit, ports),
        cookie_secret=secrets.token_bytes(16) if args.convert_cookies else b"",
        via=parse_via(args.via, args.fast_open) if args.via is not None else None,
        users=parse_users(None if args.socks_users is None else _text_of(args.socks_users, "--socks-users")),
        name=args.name or socket.gethostname(),
        mapping_log=args.mapping_log,
        log_destinations=args.log_destinations,
        ident=frozenset() if args.ident is None else parse_ids(_text_of(args.ident, "--ident")),
        advertise=advertised,
        listener=parse_listener(
            args.listener, advertised, args.c_flag, prefixes, source.ipv6 is RelaySourceMode.IPV6_PREFIX
        ),
        c_flag=args.c_flag,
        offering=MptcpOffering(ttl=0) if role is RelayRole.UPSTREAM else _offering(args),
        agent=None if args.bindings else _agent(args),
        inbound=_agent(args) if args.bindings else None,
        metrics=None if args.metrics is None else parse_place(args.metrics, args.metrics_anywhere),
    )
    if args.bindings and (options.inbound is None or role is not RelayRole.DOWNSTREAM):
        raise OptionError("--bindings goes with --controller, and with role downstream")
    if options.agent and (options.advertise or options.c_flag):
        raise OptionError("--advertise and --c-flag need the kernel's path manager: not with --controller")
    if args.log_destinations and (args.mapping_log or "off") == "off":
        raise OptionError("--log-destinations goes with --mapping-log FILE")
    if (args.nft or args.apply or args.check) and not options.prefixes and role is not RelayRole.UPSTREAM:
        raise OptionError(
            "--nft, --apply and --check need at least one --prefix: the servers' addresses, e.g. 10.9.0.0/24"
        )
    return options


def _offering(args: argparse.Namespace) -> MptcpOffering:
    return parse_offering(args.mptcp_off, args.slow_threshold, args.slow_ttl, args.plain_ttl)


def _source(args: argparse.Namespace, prefixes: tuple[Network, ...]) -> SourceOptions:
    return parse_source(
        args.source_mode,
        args.pool,
        prefixes,
        args.sharing_ratio or "1",
        args.nat64,
        args.referral_port,
        args.subscriber_length or "64",
        args.mapping_hold or "3600",
    )


def _dscp(args: argparse.Namespace) -> tuple[tuple[int, int], ...] | None:
    remap = tuple(sorted(dscp.parse_remap(args.dscp_remap).items()))
    if parse_choice("--dscp", args.dscp, Dscp) is Dscp.PRESERVE:
        return remap
    if remap:
        raise OptionError("--dscp-remap goes with --dscp preserve")
    return None


def _agent(args: argparse.Namespace) -> ControllerAccess | None:
    if args.discover is None:
        return parse_agent(args.controller, args.mcp, args.token_file, args.ca_file)
    if args.controller is not None:
        raise OptionError("--discover is for a CPE's credential, --controller for an MCP's of the site file")
    return None


def _upstream(args: argparse.Namespace) -> Upstream:
    """The upstream settings. Options have precedence over the controller's answers."""
    told = parse_upstream(args.uplink, args.inside, args.source_ports, args.deny_mptcp_to, args.inner_cpe)
    if args.discover is None:
        return told
    from steering.relay.controller.mcp_discovery import (
        discover,
        parse_discover,
    )  # imported here, as it loads TLS, which takes 5 MB

    found = discover(parse_discover(args.discover, args.token_file, args.ca_file))
    return told if told.deny_mptcp_to else replace(told, deny_mptcp_to=found)


def _check(options: RelayOptions, as_json: bool) -> int:
    found = launch.faults(options)
    if as_json:
        print(json.dumps([fault._asdict() for fault in found], indent=2))
    else:
        for fault in found:
            print(fault)
        if not found:
            print("the kernel is set up for this relay")
    return 1 if found else 0


def _text_of(path: str, option: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, ValueError) as error:
        raise OptionError(f"{option} {path}: {getattr(error, 'strerror', None) or 'not text'}") from None


def _query(path: str, as_json: bool, as_metrics: bool) -> int:
    try:
        document = query(path)
    except QueryError as error:
        print(f"steering relay: {error}", file=sys.stderr)
        return 1
    if as_metrics:
        print(metrics.text(document), end="")
        return 0
    print(json.dumps(document, indent=2) if as_json else table(document))
    return 0
