"""`steering mcp`: the MCPs and what they carry; taking one out of service and back."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.table import table
from steering.cli.wording import when

SUMMARY: str = "list the MCPs, their types, load and health; drain one, or take it back"

HEADERS = [
    "MCP", "type", "interception", "addresses", "port", "sessions", "capacity", "subflows", "reachable",
    "health", "load",
]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("list", "show", "drain", "undrain"),
        default="list",
        help="list (default); show: one of them, with the servers that MPTCP makes slow; drain: it keeps its sessions and gets no new ones; undrain: it gets new ones again",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the MCP to show, drain or take back")
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
    elif args.what == "show":
        _show(controller.get("mcps", args.name), args.json)
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


def _show(mcp: dict[str, Any], as_json: bool) -> None:
    if as_json:
        client.print_json(mcp)
        return
    print(mcp_table([mcp]))
    slow = mcp.get("slow_servers", ())
    print(f"servers that MPTCP makes slow, so that they get TCP: {len(slow) or 'none'}")
    for server in slow:
        print(f"  {server['address']} until {when(server['until'])}")


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
