"""`steering registry`: registered subscribers, by pseudonym (N-5.3)."""

import argparse

from steering.cli import actions, client
from steering.cli.actions import Columns, Subcommand, listed

SUMMARY: str = "list, register and remove subscribers that are let in or kept out"
EXAMPLE: str = "steering registry add alice 10.1.0.2"

COLUMNS = Columns(
    ["subscriber", "allowed", "addresses"],
    lambda one: [one["id"], one["allowed"], listed(one["addresses"])],
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand("list", "who is registered", _list),
            Subcommand("add", "register a subscriber, or change one: allowed unless --deny", _add, _own_name),
            Subcommand("remove", "take one out", _remove, _id),
        ),
    )


run = actions.run


def _own_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "subscriber",
        metavar="SUBSCRIBER",
        help="its own name, such as an IMSI, of which only a pseudonym is kept ('-': a line of stdin, which no list of processes shows)",
    )
    parser.add_argument("address", nargs="*", metavar="ADDRESS", help="an address or prefix of its hosts")
    parser.add_argument("--deny", action="store_true", help="it is kept out")


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        metavar="ID",
        help="the subscriber: its own name, or its pseudonym as 'steering registry' lists it",
    )


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    actions.tell_all(args, controller.get("registry"), "subscribers", COLUMNS, "nobody is registered")


def _add(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    name = actions.line_of_input() if args.subscriber == "-" else args.subscriber
    body = {"subscriber": name, "allowed": not args.deny, "addresses": args.address}
    known = controller.get("registry")["subscribers"] if args.json else ()
    told = actions.send(controller, "POST", ["registry"], body)
    where = listed(told["addresses"])
    how = "allowed" if told["allowed"] else "denied"
    line = f"{told['id']} is registered and {how}{f', at {where}' if where else ''}"
    actions.tell(args, told, line, told not in known)


def _remove(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    try:
        told = actions.send(controller, "DELETE", ["registry", actions.subscriber(controller, args.id)])
    except client.NotFound:
        raise client.NotFound(
            f"no subscriber {args.id!r} is registered; 'steering registry' lists them"
        ) from None
    actions.tell(args, told, f"{told['id']} is registered no more")
