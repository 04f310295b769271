"""`steering sessions`: the M-sessions, or one of them with its subflows."""

import argparse
from typing import Any

from steering.cli import client
from steering.cli.table import table
from steering.cli.wording import duration, endpoint, size_of

SUMMARY: str = "list the M-sessions, or show one with its subflows"

PAGE = 1_000  # the most that the REST gives at once
DEFAULT_LIMIT = 100
HEADERS = ["id", "state", "MCP", "token", "client", "server", "subflows", "age"]
SUBFLOW_HEADERS = [
    "from", "to", "kind", "access network", "path", "switch", "entries", "address id", "backup",
]  # fmt: skip

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="show this session in full")
    parser.add_argument("--mcp", metavar="NAME", help="only sessions at this MCP")
    parser.add_argument("--state", help="only sessions in this state, for example established")
    parser.add_argument(
        "--limit", type=_positive, metavar="N", help=f"list at most N sessions (default {DEFAULT_LIMIT})"
    )
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _answer(controller, args))


def _answer(controller: client.Controller, args: argparse.Namespace) -> None:
    if args.id is None:
        _list(controller, args)
    elif args.mcp is not None or args.state is not None or args.limit is not None:
        raise client.BadInput("--mcp, --state and --limit choose sessions of the list; ID names one")
    else:
        _show(controller.get("sessions", args.id), args.json)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError("a whole number from 1 to 1000000 is wanted")
    return int(text)


def _list(controller: client.Controller, args: argparse.Namespace) -> None:
    found, total = _fetch(controller, args.mcp, args.state, args.limit or DEFAULT_LIMIT)
    if args.json:
        client.print_json({"sessions": found, "total": total, "offset": 0})
        return
    if not found:
        print("no session" if args.mcp is None and args.state is None else "no such session")
        return
    print(table(HEADERS, [_row(session) for session in found]))
    if total > len(found):
        print(f"{len(found)} of {total} sessions; --limit lists more")


def _fetch(
    controller: client.Controller, mcp: str | None, state: str | None, limit: int
) -> tuple[list[Json], int]:
    """Up to `limit` sessions, page by page, and how many there are."""
    found: list[Json] = []
    total = 0
    while len(found) < limit:
        wanted = min(PAGE, limit - len(found))
        body = controller.get("sessions", offset=len(found), limit=wanted, mcp=mcp, state=state)
        found += body["sessions"]
        total = body["total"]
        # Sessions end meanwhile: an empty page ends the list whatever the total says.
        if not body["sessions"] or len(found) >= total:
            break
    return found, total


def _row(session: Json) -> list[object]:
    return [
        session["id"],
        session["state"],
        session["mcp"],
        session["token"],
        session["client"],
        session["server"],
        size_of(session["subflows"]),
        duration(session["age_s"]),
    ]


def _show(session: Json, as_json: bool) -> None:
    if as_json:
        client.print_json(session)
        return
    version = session["version"]
    details = {
        "session": session["id"],
        "state": session["state"],
        "MCP": session["mcp"],
        "token": session["token"],
        "MPTCP": "unknown" if version is None else f"version {version}",
        "client": session["client"],
        "server": session["server"],
        "age": duration(session["age_s"]),
        "decision": session["decision"],
    }
    for name, value in details.items():
        print(f"{name:<9} {'-' if value is None else value}")
    if session["subflows"]:
        print()
        print(table(SUBFLOW_HEADERS, [_subflow_row(subflow) for subflow in session["subflows"]]))


def _subflow_row(subflow: Json) -> list[object]:
    return [
        endpoint(subflow["src"], subflow["sport"]),
        endpoint(subflow["dst"], subflow["dport"]),
        subflow["kind"],
        subflow["access_network"],
        subflow["path"],
        subflow["switch"],
        size_of(subflow["entries"]),
        subflow["address_id"],
        subflow["backup"],
    ]
