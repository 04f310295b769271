"""`steering policy clock`: the time that counts for rules with time windows, and its offset (D-3.2c)."""

import argparse

from steering.cli import actions, client
from steering.cli.table import table

PATH = ("policy", "clock")
HELP = "the time that rules with windows go by; put it off, to see what they will do"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offset",
        metavar="SECONDS",
        type=int,
        help="put it so far ahead of the controller's own clock, less than a week; negative: behind; 0: as it is",
    )
    client.add_arguments(parser)


def answer(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    """Show the clock, after setting its offset if one is given."""
    actions.act(controller, args, _answer)


def _answer(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    found = controller.request("GET", PATH)
    clock = found.body
    if args.offset is not None:
        clock = actions.send(controller, "PUT", PATH, {"offset_s": args.offset}, found.etag)
        clock = clock | {"changed": args.offset != found.body["offset_s"]}
    if args.json:
        client.print_json(clock)
        return
    off = f", {abs(clock['offset_s'])} s {'ahead' if clock['offset_s'] > 0 else 'behind'}"
    print(f"it is {clock['time']}{off if clock['offset_s'] else ''}, in the controller's own time zone")
    if clock["rules"]:
        print(table(["rule", "open"], [[rule["name"], rule["open"]] for rule in clock["rules"]]))
    else:
        print("no rule has windows")
