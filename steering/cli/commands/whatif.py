"""`steering whatif`: tells what the controller would do with a connection, without opening it."""

import argparse
import json
from typing import Any

from steering.cli import client
from steering.cli.reasons import reasons

SUMMARY: str = "ask which MCP a connection would get, and why, without opening it"
EXAMPLE: str = "steering whatif --from 10.1.0.2 --to 10.9.0.2 --port 443"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="source", metavar="ADDRESS", required=True, help="the host's address")
    parser.add_argument("--to", dest="destination", metavar="ADDRESS", required=True, help="the server's")
    parser.add_argument("--port", type=_port, metavar="N", required=True, help="the server's TCP port")
    parser.add_argument(
        "--source-port",
        type=_port,
        metavar="N",
        default=49_152,
        help="the host's TCP port, which rules with terminate_only go by (default %(default)s)",
    )
    parser.add_argument(
        "--access", metavar="NAME", help="the access network (default: the one with the host's prefix)"
    )
    parser.add_argument("--mptcp-version", type=int, choices=(0, 1), default=1, help="default %(default)s")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _ask(controller, args))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError("a port from 1 to 65535 is wanted")
    return int(text)


def _ask(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    question: dict[str, Any] = {
        "source": args.source,
        "destination": args.destination,
        "port": args.port,
        "source_port": args.source_port,
        "access": args.access,
        "mptcp_version": args.mptcp_version,
    }
    body = json.dumps(question).encode()
    try:
        told = controller.request("POST", ["whatif"], body=body, headers=client.JSON_BODY).body
    except client.Rejected as rejected:
        raise client.BadInput(client.first_error(rejected)) from None
    if args.json:
        client.print_json(told)
        return
    for line in [
        f"decision      by policy version {told['policy_version']}",
        *reasons(told, args.form == client.WIDE),
    ]:
        print(line)
