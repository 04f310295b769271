"""`steering mcp`: lists MCPs and their load, drains and undrains one, registers and removes one."""

import argparse
import sys
from typing import Any

from steering.cli import client
from steering.cli.table import narrow, table
from steering.cli.wording import when

SUMMARY: str = "list the MCPs, their types, load and health; drain, register, change or remove one"
EXAMPLE: str = "steering mcp drain core"

HEADERS = [
    "MCP", "type", "interception", "addresses", "port", "sessions", "capacity", "subflows", "reachable",
    "health", "load",
]  # fmt: skip
ONLY_WIDE = frozenset({"interception", "addresses", "port", "capacity"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("list", "show", "discovery", "drain", "undrain", "add", "change", "remove"),
        default="list",
        help="list (default); show: one of them, with the servers that MPTCP makes slow; discovery: those that a device may use now, the least loaded first; drain: it keeps its sessions and gets no new ones; undrain: it gets new ones again; "
        "add FILE: register an MCP (YAML, as an item of the site file's mcps); change FILE: it is otherwise; "
        "remove NAME: it is none any more",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="the MCP, or the file that describes it ('-': stdin)"
    )
    parser.add_argument("--force", action="store_true", help="remove: end the sessions that live there")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _answer(controller, args))


def _answer(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.what in ("list", "discovery"):
        if args.name is not None:
            raise client.BadInput(f"{args.what} takes no NAME")
        (_list if args.what == "list" else _discover)(controller, args)
    elif args.name is None:
        raise client.BadInput(f"{args.what} which MCP? 'steering mcp' lists them")
    elif args.what == "show":
        _show(controller.get("mcps", args.name), args)
    elif args.force and args.what != "remove":
        raise client.BadInput("--force is of remove alone")
    elif args.what == "remove":
        _remove(controller, args.name, args.force, args.json)
    elif args.what in ("add", "change"):
        _put(controller, args.what, args.name, args.json)
    else:
        _admin(controller, args.what, args.name, args.json)


def _admin(controller: client.ControllerClient, what: str, name: str, as_json: bool) -> None:
    told = controller.request("POST", ["mcps", name, what]).body
    if as_json:
        client.print_json({"changed": True, **told})  # an older controller does not send `changed`
    elif told["draining"]:
        print(f"{told['name']} gets no new sessions; those it has go on")
    else:
        print(f"{told['name']} gets new sessions again")


def _put(controller: client.ControllerClient, what: str, file: str, as_json: bool) -> None:
    from steering.policy.language.document import (
        load_text,
    )  # imported here, as only commands with a file need it
    from steering.policy.site_mcps import McpText

    text, findings = load_text("/dev/stdin" if file == "-" else file)
    if text is None:
        raise client.BadInput(str(findings[0]))
    headers, path, method = {"Content-Type": "application/yaml"}, ["mcps"], "POST"
    declared = None
    if what == "change":
        name = McpText(text).name
        if not name:
            raise client.BadInput(f"{file} names no MCP")
        path, method = ["mcps", name], "PUT"
        before = controller.request("GET", path)
        declared, headers["If-Match"] = before.body["declared"], before.etag or "*"
    try:
        told = controller.request(
            method, path, body=text.encode(), headers=headers, patience=client.AGREED_TIMEOUT
        ).body
    except client.Rejected as rejected:
        if as_json:
            client.print_json(rejected.problem)
        for error in () if as_json else rejected.problem.get("errors", []):
            print(f"{file}: {error['path']}: {error['message']}", file=sys.stderr)
        raise
    if as_json:
        client.print_json({**told, "changed": declared is None or told["declared"] != declared})
    else:
        done = "is registered" if what == "add" else "is changed"
        print(f"{told['name']} {done}; {_lasts(told['kept'])}")


def _remove(controller: client.ControllerClient, name: str, force: bool, as_json: bool) -> None:
    told = controller.request(
        "DELETE", ["mcps", name], query={"force": 1 if force else None}, patience=client.AGREED_TIMEOUT
    ).body
    if as_json:
        client.print_json({**told, "changed": True})
        return
    ended = f", {told['sessions']} sessions end" if told["sessions"] else ""
    print(f"{told['name']} is removed{ended}; {_lasts(told['kept'])}")


def _lasts(kept: bool) -> str:
    return "kept over restarts" if kept else "the site file names it: after a restart it is as written there"


def _list(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    body = controller.get("mcps")
    if args.json:
        client.print_json(body)
    elif body["mcps"]:
        print(mcp_table(body["mcps"], args.form == client.WIDE))
    else:
        print("the site has no MCP")


def _discover(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    """Show the MCPs that the controller names to a device that asks with this token (--token-file)."""
    found = controller.get("discovery")
    if args.json:
        client.print_json(found)
        return
    rows: list[list[object]] = [
        [mcp["name"], mcp["type"], ", ".join(mcp["addresses"])] for mcp in found["mcps"]
    ]
    print(table(["MCP", "type", "addresses"], rows))
    paired = "paired" if found["paired"] else "not paired"
    print(f"for {found['device']}, {paired}; to be asked again in {found['lasts_s']} s")


def _show(mcp: dict[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        client.print_json(mcp)
        return
    print(mcp_table([mcp], args.form == client.WIDE))
    slow = mcp.get("slow_servers", ())
    print(f"servers that MPTCP makes slow, so that they get TCP: {len(slow) or 'none'}")
    for server in slow:
        print(f"  {server['address']} until {when(server['until'])}")


def mcp_table(mcps: list[dict[str, Any]], wide: bool = False) -> str:
    """The MCPs as a table for people, one per line; `wide`: with all columns."""
    return narrow(HEADERS, [_row(mcp) for mcp in mcps], frozenset() if wide else ONLY_WIDE)


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
    """The declared type of an MCP, and beside it the type that the controller computes, where that is another."""
    declared, computed = mcp["type"], mcp["type_computed"]
    return str(declared) if computed in (None, declared) else f"{declared} (is {computed})"


def _percent(load: float | None) -> str | None:
    return None if load is None else f"{load:.0%}"
