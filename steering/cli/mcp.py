"""`steering mcp`: the MCPs and what they carry."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.table import table

SUMMARY: str = "list the MCPs, their types, load and whether they are reachable"

HEADERS = [
    "MCP", "type", "interception", "addresses", "port", "sessions", "capacity", "subflows", "reachable",
]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _list(controller, args.json))


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
    ]


def _type(mcp: dict[str, Any]) -> str:
    """The declared type, and what the graph says where it says otherwise."""
    declared, computed = mcp["type"], mcp["type_computed"]
    return str(declared) if computed in (None, declared) else f"{declared} (is {computed})"
