"""`steering pairing`: paired devices, and the addresses that belong to them (S-14)."""

import argparse

from steering.cli import actions, client
from steering.cli.actions import Columns, Subcommand, listed

SUMMARY: str = "list the paired devices, pair one with its addresses, or unpair it"
EXAMPLE: str = "steering pairing set phone 10.1.0.2 10.2.0.2"

COLUMNS = Columns(["device", "addresses"], lambda one: [one["name"], listed(one["addresses"])])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions.add_actions(
        parser,
        (
            Subcommand("list", "the devices that are paired", _list),
            Subcommand("set", "a device speaks from these addresses, and no others", _set, _addresses),
            Subcommand("remove", "it is paired no more; its bindings end", _remove, _name),
        ),
    )


run = actions.run


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="DEVICE", help="the device, as its token is named")


def _addresses(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("address", nargs="+", metavar="ADDRESS", help="where it speaks from")


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    actions.tell_all(args, controller.get("pairings"), "pairings", COLUMNS, "no device is paired")


def _set(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    known = controller.get("pairings")["pairings"] if args.json else ()
    told = actions.send(controller, "PUT", ["pairings", args.name], {"addresses": args.address})
    actions.tell(args, told, f"{told['name']} is paired, at {listed(told['addresses'])}", told not in known)


def _remove(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    told = actions.send(controller, "DELETE", ["pairings", args.name])
    actions.tell(args, told, f"{told['name']} is paired no more")
