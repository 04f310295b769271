"""`steering access`: access networks with their type and trust (D-6.3e), and offloads (D-1.u2)."""

import argparse
from typing import Any

from steering.cli import actions, client
from steering.cli.table import narrow

SUMMARY: str = "list the access networks, set the type or trust of one, or move its traffic to another"
EXAMPLE: str = "steering access offload lte wlan"

HEADERS = ["access network", "type", "trust", "sequence", "prefixes", "ports", "offloaded to"]
ONLY_WIDE = frozenset({"sequence", "ports"})
TYPES = ("cellular", "wlan", "fixed", "satellite", "other")
TRUSTS = ("operator", "third-party")

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("list", "set", "offload"),
        default="list",
        help="list (default); set NAME: its type or trust from now on; offload NAME TO: what goes by NAME goes by TO "
        "wherever a session has both; offload NAME --back: no more",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the access network to set or to offload")
    parser.add_argument("to", nargs="?", metavar="TO", help="offload: where its traffic goes")
    parser.add_argument("--back", action="store_true", help="offload: its traffic comes back")
    parser.add_argument("--type", choices=TYPES, help="its network access type from now on")
    parser.add_argument("--trust", choices=TRUSTS, help="whose it is from now on")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: actions.act(controller, args, _answer))


def _answer(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.what == "offload":
        _offload(controller, args)
    elif args.to is not None or args.back:
        raise client.BadInput("TO and --back are of offload alone")
    elif args.what == "list":
        if args.name or args.type or args.trust:
            raise client.BadInput(
                "list takes no NAME, --type or --trust; did you mean 'steering access set'?"
            )
        _list(controller, args)
    elif args.name is None or (args.type is None and args.trust is None):
        raise client.BadInput("set wants NAME and --type or --trust or both")
    else:
        _set(controller, args)


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    body = controller.get("access-networks")
    if args.json:
        client.print_json(body)
    else:
        hidden = frozenset() if args.form == client.WIDE else ONLY_WIDE
        print(narrow(HEADERS, [_row(access) for access in body["access_networks"]], hidden))


def _set(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    """Change type or trust; a value without an option stays. An update that somebody else makes meanwhile is not
    overwritten."""
    before = controller.request("GET", ["access-networks", args.name])
    wanted = {"type": args.type or before.body["type"], "trust": args.trust or before.body["trust"]}
    after = before.body
    changed = any(after[name] != value for name, value in wanted.items())
    if changed:
        update = wanted | {"sequence": after["sequence"] + 1}
        after = actions.send(controller, "PUT", ["access-networks", args.name], update, before.etag)
    line = f"{after['name']} is {after['type']}, {after['trust']}, update {after['sequence']}"
    actions.tell(args, after, line, changed)


def _offload(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.type or args.trust:
        raise client.BadInput("--type and --trust are of set alone")
    if args.name is None or (args.to is None) != args.back:
        raise client.BadInput("offload wants NAME and TO, or NAME and --back")
    known = controller.get("access-networks")["access_networks"] if args.json else ()
    told = actions.send(controller, "POST", ["offload"], {"from": args.name, "to": args.to})
    changed = all(one["offloaded_to"] != args.to for one in known if one["name"] == args.name)
    if args.back:
        line = f"what goes by {told['from']} goes there again"
    else:
        line = f"what goes by {told['from']} goes by {told['to']} wherever a session has both"
    actions.tell(args, told, line, changed)


def _row(access: Json) -> list[object]:
    return [
        access["name"],
        access["type"],
        access["trust"],
        access["sequence"],
        ", ".join(access["prefixes"]),
        ", ".join(access["ports"]),
        access["offloaded_to"],
    ]
