"""`steering doctor`: finds faults in this machine's set-up for its job, and prints each with its remedy on one line."""

import argparse
import json
import sys
from collections.abc import Iterable

from steering.cli import client, examination
from steering.cli.examination import Ailment
from steering.cli.machine import ExaminedMachine, LocalMachine
from steering.cli.progress import ProgressLine

SUMMARY: str = "say what is wrong with this machine as a controller's, a relay's or a host, and what mends it"
EXAMPLE: str = "steering doctor ue --mcp 10.8.0.2:8803"

ROLES = ("controller", "relay", "ue")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("role", choices=ROLES, metavar="ROLE", help="controller, relay, or ue: a host")
    parser.add_argument(
        "--mcp",
        action="append",
        default=[],
        metavar="ADDRESS:PORT",
        help="see whether an MCP is reached there",
    )
    parser.add_argument(
        "--controller",
        metavar="ADDRESS:PORT",
        help="relay: see whether its controller's REST is reached there",
    )
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Returns 0 where nothing is wrong, else 1."""
    with ProgressLine("examining this machine"):
        found = list(examine(args, LocalMachine()))
    return tell(found, args.json)


def examine(args: argparse.Namespace, machine: ExaminedMachine) -> Iterable[Ailment]:
    """All faults, for the job that `args` name."""
    if args.role == "ue":
        yield from examination.of_host(machine)
    elif args.role == "relay":
        yield from examination.of_relay(machine)
    else:
        yield from examination.of_controller(machine)
        yield from _of_the_running_one(args)
    for place in args.mcp:
        yield from examination.reaches(machine, "mcp", place)
    if args.controller is not None:
        yield from examination.reaches(machine, "controller", args.controller)


def _of_the_running_one(args: argparse.Namespace) -> list[Ailment]:
    try:
        controller = client.find(args)
        told = [controller.get(path) for path in ("status", "topology", "mcps")]
        return list(examination.of_controllers_word(*told))
    except (client.Unavailable, client.BadInput) as error:
        what, _, mend = str(error).partition(": ")
        return [Ailment("controller", what, mend or "see its log")]


def tell(found: list[Ailment], as_json: bool) -> int:
    """Print the faults. Returns the exit status: 1 with faults, else 0."""
    if as_json:
        print(json.dumps({"ok": not found, "wrong": [one._asdict() for one in found]}, indent=2))
    else:
        for one in found:
            print(one)
        if not found:
            print("nothing is wrong that can be seen from here", file=sys.stderr)
    return 1 if found else 0
