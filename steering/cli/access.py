"""`steering access`: the access networks, and what is known of their type and trust (D-6.3e)."""

import argparse
import json
from typing import Any

from steering.cli import client
from steering.cli.table import table

SUMMARY: str = "list the access networks, or set the type or trust of one"

HEADERS = ["access network", "type", "trust", "sequence", "prefixes", "ports"]
TYPES = ("cellular", "wlan", "fixed", "satellite", "other")
TRUSTS = ("operator", "third-party")

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", nargs="?", choices=("list", "set"), default="list", help="list (default), or set"
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the access network to set")
    parser.add_argument("--type", choices=TYPES, help="its network access type from now on")
    parser.add_argument("--trust", choices=TRUSTS, help="whose it is from now on")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _answer(controller, args))


def _answer(controller: client.Controller, args: argparse.Namespace) -> None:
    if args.what == "list":
        if args.name or args.type or args.trust:
            raise client.BadInput(
                "list takes no NAME, --type or --trust; did you mean 'steering access set'?"
            )
        _list(controller, args.json)
    elif args.name is None or (args.type is None and args.trust is None):
        raise client.BadInput("set wants NAME and --type or --trust or both")
    else:
        _set(controller, args)


def _list(controller: client.Controller, as_json: bool) -> None:
    body = controller.get("access-networks")
    if as_json:
        client.print_json(body)
    else:
        print(table(HEADERS, [_row(access) for access in body["access_networks"]]))


def _set(controller: client.Controller, args: argparse.Namespace) -> None:
    """What is not said stays; nothing is set over somebody else's update."""
    before = controller.request("GET", ["access-networks", args.name])
    update = {
        "type": args.type or before.body["type"],
        "trust": args.trust or before.body["trust"],
        "sequence": before.body["sequence"] + 1,
    }
    after = controller.request(
        "PUT",
        ["access-networks", args.name],
        body=json.dumps(update).encode(),
        headers=client.JSON_BODY | {"If-Match": before.etag or "*"},
    ).body
    if args.json:
        client.print_json(after)
    else:
        print(f"{after['name']} is {after['type']}, {after['trust']}, update {after['sequence']}")


def _row(access: Json) -> list[object]:
    return [
        access["name"],
        access["type"],
        access["trust"],
        access["sequence"],
        ", ".join(access["prefixes"]),
        ", ".join(access["ports"]),
    ]
