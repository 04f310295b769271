"""`steering sessions`: lists M-sessions, shows one with its subflows, aborts one."""

import argparse
import sys
import time
from contextlib import nullcontext
from typing import Any

from steering.cli import client
from steering.cli.arguments import positive, since
from steering.cli.table import narrow, table
from steering.cli.wording import duration, endpoint, size_of
from steering.model.period_begin import PeriodBegin

SUMMARY: str = "list the M-sessions, show one with its subflows, or abort one"
EXAMPLE: str = "steering sessions --mcp core --since 10m"

PAGE = 1_000  # most sessions in one answer of REST
DEFAULT_LIMIT = 100
PATIENCE, LOOK = 7.0, 0.1  # seconds: the controller gives up on ends that stay silent for 5
OUTCOMES = {
    "asked": "not heard of yet",
    "told": "was sent a reset with the number that it expects, and said nothing more",
    "closed": "its connection is gone",
    "silent": "never answered; its connection may live on",
}
FILTERS = ("mcp", "state", "token", "client", "controller")
HEADERS = ["id", "state", "MCP", "token", "client", "server", "subflows", "age"]
ONLY_WIDE = frozenset({"token"})
SUBFLOW_ONLY_WIDE = frozenset({"switch", "entries", "address id"})
SUBFLOW_HEADERS = [
    "from", "to", "kind", "access network", "path", "switch", "entries", "address id", "backup",
]  # fmt: skip

PATH_HEADERS = ["from", "access network", "natural path", "pinned path"]

Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="show this session in full")
    parser.add_argument("--paths", action="store_true", help="with ID: the switches that its subflows pass")
    parser.add_argument("--mcp", metavar="NAME", help="only sessions at this MCP")
    parser.add_argument("--state", help="only sessions in this state, for example established")
    parser.add_argument("--token", metavar="HEX", help="only sessions with this token")
    parser.add_argument("--client", metavar="ADDRESS", help="only sessions of the host with this address")
    parser.add_argument("--controller", metavar="NAME", help="only sessions of this controller of a cluster")
    parser.add_argument(
        "--abort", metavar="ID", help="end this session at all its ends, and say what became of each"
    )
    parser.add_argument(
        "--limit", type=positive, metavar="N", help=f"list at most N sessions (default {DEFAULT_LIMIT})"
    )
    parser.add_argument(
        "--since",
        type=since,
        metavar="WHEN",
        help="list those that began since then, for example 90s, 10m, 2h, 1d or 2026-11-30T12:00:00Z",
    )
    parser.add_argument("--after", metavar="CURSOR", help="go on where a list ended, as its last line says")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _answer(controller, args))


def _answer(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    filters = {name: getattr(args, name) for name in FILTERS}
    chosen = any(value is not None for value in (*filters.values(), args.limit, args.since, args.after))
    if args.abort is not None:
        if chosen or args.id is not None:
            raise client.BadInput("--abort names the one session to end, and takes nothing else")
        _abort(controller, args.abort, args.json)
    elif args.id is None and args.paths:
        raise client.BadInput("--paths wants the ID of a session")
    elif args.id is None:
        _list(controller, args, filters)
    elif chosen:
        raise client.BadInput("--mcp, --state and the like choose sessions of the list; ID names one")
    elif args.paths:
        _paths(controller.get("sessions", args.id, "paths"), args.json)
    else:
        _show(controller.get("sessions", args.id), args)


def _abort(controller: client.ControllerClient, wanted: str, as_json: bool) -> None:
    """Abort a session, wait until both ends of its connection have answered, and print the result for each end."""
    try:
        controller.request("DELETE", ["sessions", wanted])
    except client.Unavailable as gone:
        try:
            told = controller.get("aborts", wanted)  # the session was aborted before
            changed = False
        except client.Unavailable:
            raise gone from None
    else:
        changed = True
        if controller.progress is not None:
            controller.progress.text = "waiting for what its ends say"
        until = time.monotonic() + PATIENCE
        told = controller.get("aborts", wanted)
        while not told["over"] and time.monotonic() < until:
            with controller.progress or nullcontext():
                time.sleep(LOOK)
            told = controller.get("aborts", wanted)
    if as_json:
        client.print_json({**told, "changed": changed})
        return
    print(f"session {told['id']} {'is ended' if told['over'] else 'is being ended'}")
    for end in told["ends"]:
        print(f"  {end['end']} {endpoint(end['address'], end['port'])}: {OUTCOMES[end['outcome']]}")
    if not told["ends"]:
        print("  no end of it is known here")


def _list(
    controller: client.ControllerClient, args: argparse.Namespace, filters: dict[str, str | None]
) -> None:
    found, last = _fetch(controller, args, filters)
    total, following, incomplete = last["total"], last["next"], last["incomplete"]
    if args.json:
        client.print_json({"sessions": found, "total": total, "next": following, "incomplete": incomplete})
        return
    if incomplete:
        print(f"not all are here: no answer of controller {', '.join(incomplete)}", file=sys.stderr)
    if not found:
        print("no such session" if any(filters.values()) or args.since or args.after else "no session")
        return
    hidden = frozenset() if args.form == client.WIDE else ONLY_WIDE
    print(narrow(HEADERS, [_row(session) for session in found], hidden))
    if following is not None:
        print(f"{len(found)} of {total} sessions; --after {following} goes on, --limit lists more")


def _fetch(
    controller: client.ControllerClient, args: argparse.Namespace, filters: dict[str, str | None]
) -> tuple[list[Json], Json]:
    """Read sessions page by page, up to the limit. Returns them with the fields of the last page: the number of all
    sessions, the cursor of the next page, and the controllers that any page missed."""
    limit = args.limit or DEFAULT_LIMIT
    since = _age(args.since)
    found: list[Json] = []
    missed: set[str] = set()
    cursor = args.after
    while True:
        fitting, body = _page(controller, since, filters, cursor, limit - len(found))
        found += fitting
        cursor = body["next"]
        missed.update(body["incomplete"])
        if controller.progress is not None:
            controller.progress.text = f"{len(found):,} of {min(limit, body['total']):,} sessions"
        if cursor is None or len(found) >= limit:
            return found, body | {"incomplete": sorted(missed)}


def _age(since: PeriodBegin | None) -> float | None:
    """The most seconds that a session may be old. Raises BadInput for a time that is still to come."""
    if since is None:
        return None
    now = time.time()
    try:
        return now - since.moment(now)
    except ValueError as error:
        raise client.BadInput(f"--since: {error}") from None


def _page(
    controller: client.ControllerClient,
    wanted: float | None,
    filters: dict[str, str | None],
    cursor: str | None,
    room: int,
) -> tuple[list[Json], Json]:
    """The sessions of one page that are young enough, at most `room`, and the page's other fields. `wanted`: most seconds
    since a session began."""
    if wanted is None:
        body = controller.get("sessions", cursor=cursor, limit=min(PAGE, room), **filters)
        return body["sessions"], body
    # Few sessions of a page may be young enough, so a whole page is read: a hundred at a time would take long on a busy
    # site. Where a page has more of them than `room`, a shorter page is read, so that the cursor fits the end of the list.
    for most in (PAGE, room):
        body = controller.get("sessions", cursor=cursor, limit=most, **filters)
        recent = [one for one in body["sessions"] if one["age_s"] <= wanted]
        if len(recent) <= room:
            break
    return recent, body


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


def _show(session: Json, args: argparse.Namespace) -> None:
    if args.json:
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
        hidden = frozenset() if args.form == client.WIDE else SUBFLOW_ONLY_WIDE
        print(narrow(SUBFLOW_HEADERS, [_subflow_row(subflow) for subflow in session["subflows"]], hidden))


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


def _paths(paths: Json, as_json: bool) -> None:
    if as_json:
        client.print_json(paths)
        return
    rows: list[list[object]] = [
        [
            endpoint(one["src"], one["sport"]),
            one["access_network"],
            " ".join(one["natural"]),
            " ".join(one["pinned"]),
        ]
        for one in paths["subflows"]
    ]
    print(table(PATH_HEADERS, rows) if rows else "no subflow is known")
    if paths["onward"]:
        print(f"from MCP {paths['mcp']} onward: {' '.join(paths['onward'])}")
