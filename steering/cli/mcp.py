"""`steering mcp`: the MCPs and what they carry; taking one out of service and back."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.table import table

SUMMARY: str = "list the MCPs, their types, load and health; drain one, or take it back"

HEADERS = [
    "MCP", "type", "interception", "addresses", "port", "sessions", "capacity", "subflows", "reachable",
    "health", "load",
]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("list", "drain", "undrain"),
        default="list",
        help="list (default); drain: it keeps its sessions and gets no new ones; undrain: it gets new ones again",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the MCP to drain or take back")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _answer(controller, args))


def _answer(controller: client.Controller, args: argparse.Namespace) -> None:
    if args.what == "list":
        if args.name is not None:
            raise client.BadInput("list takes no NAME")
        _list(controller, args.json)
    elif args.name is None:
        raise client.BadInput(f"{args.what} which MCP? 'steering mcp' lists them")
    else:
        _admin(controller, args.what, args.name, args.json)


def _admin(controller: client.Controller, what: str, name: str, as_json: bool) -> None:
    told = controller.request("POST", ["mcps", name, what]).body
    if as_json:
        client.print_json(told)
    elif told["draining"]:
        print(f"{told['name']} gets no new sessions; those it has go on")
    else:
        print(f"{told['name']} gets new sessions again")


def _list(controller: client.Controller, as_json: bool) -> None:
    body = controller.get("mcps")
    if as_json:
        client.print_json(body)
    elif body["mcps"]:
        print(mcp_table(body["mcps"]))
    else:
        print("the site has no MCP")


def mcp_table(mcps: list[dict[str, Any]]) -> str:
    """The MCPs as people read them, one a line."""
    return table(HEADERS, [_row(mcp) for mcp in mcps])


def _row(mcp: dict[str, Any]) -> list[object]:
    return [
        mcp["name"],
        _type(mcp),
        mcp["interception"],
        ", ".join(mcp["addresses"]),
        mcp["port"],
        mcp["sessions"],
        mcp["capacity_sessions"],
        mcp["subflows"],
        mcp["reachable"],
        mcp.get("health"),
        _percent(mcp.get("load")),
    ]


def _type(mcp: dict[str, Any]) -> str:
    """The declared type, and what the graph says where it says otherwise."""
    declared, computed = mcp["type"], mcp["type_computed"]
    return str(declared) if computed in (None, declared) else f"{declared} (is {computed})"


def _percent(load: float | None) -> str | None:
    return None if load is None else f"{load:.0%}"
