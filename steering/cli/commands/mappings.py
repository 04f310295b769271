"""`steering mappings`: which host had an external address and port at a time, from the controller or from a relay's
log.

The status is 0 with the mapping, 1 if no host had it, 2 for a log that cannot be read. JSON, with --json: `{"mcp",
"internal", "external", "first_port", "last_port", "begin", "end"}`, times in seconds since 1970, `end` null while it
lasts; the controller adds `subscriber` and `destination`.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from steering.cli import client
from steering.cli.progress import ProgressLine
from steering.cli.wording import when
from steering.relay.addresses.mapping_log import LogError, find
from steering.relay.controller.reports import reported

SUMMARY = "who had a shared address and port at a time; bring a relay's mapping log to the controller"
EXAMPLE: str = "steering mappings find 192.0.2.1 40000 --at 2026-11-30T08:00:00Z"

BATCH = 500
Json = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions `find` and `report`."""
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    asked = what.add_parser("find", help="who had it: of the controller, or with --log of a relay's own log")
    asked.add_argument("address", metavar="ADDRESS", help="the address a server saw")
    asked.add_argument("port", metavar="PORT", type=int, help="the port a server saw")
    asked.add_argument(
        "--at", metavar="TIME", help="2026-11-21T14:05:00Z, or seconds since 1970 (default: now)"
    )
    asked.add_argument(
        "--log", metavar="FILE", type=Path, help="look in the log of `steering relay --mapping-log`"
    )
    client.add_arguments(asked)
    brought = what.add_parser("report", help="send a relay's log, with the token of the MCP or an operator's")
    brought.add_argument("mcp", metavar="MCP", help="whose log it is")
    brought.add_argument(
        "file", metavar="FILE", help="as steering relay --mapping-log writes it; - for what comes in"
    )
    client.add_arguments(brought)


def run(args: argparse.Namespace) -> int:
    """Search the log, or ask the controller."""
    if args.what == "report":
        return client.ask(args, lambda controller: _report(controller, args))
    try:
        at = None if args.at is None else moment(args.at)
    except ValueError:
        print(f"steering mappings: --at {args.at}: a time such as 2026-11-21T14:05:00Z", file=sys.stderr)
        return 2
    if args.log is not None:
        return _look(args, time.time() if at is None else at)
    return client.ask(args, lambda controller: _find(controller, args, at))


class WrongLines:
    """Lines of a log that are no mapping, as one that a full disk or a crash cut off. The others are read all the same."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.count = self._first = 0

    def found(self, number: int) -> None:
        self.count += 1
        self._first = self._first or number

    def tell(self) -> None:
        if self.count:
            what = "1 line is no mapping" if self.count == 1 else f"{self.count} lines are no mappings"
            print(f"steering mappings: {self._path}: {what} (line {self._first})", file=sys.stderr)


def _look(args: argparse.Namespace, at: float) -> int:
    wrong = WrongLines(str(args.log))
    try:
        with (
            ProgressLine(f"reading {args.log}"),
            args.log.open(encoding="utf-8", errors="replace") as lines,
        ):
            found = find(lines, args.address, args.port, at, wrong.found)
    except (LogError, ValueError) as error:
        print(f"steering mappings: {args.log}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"steering mappings: {args.log}: {error.strerror}", file=sys.stderr)
        return 2
    wrong.tell()
    if found is None:
        print(f"steering mappings: nobody had {args.address} port {args.port} then", file=sys.stderr)
        return 1
    _print(asdict(found), args.json)
    return 0


def _find(controller: client.ControllerClient, args: argparse.Namespace, at: float | None) -> None:
    _print(controller.get("mappings", ip=args.address, port=args.port, time=at), args.json)


def _print(found: Json, as_json: bool) -> None:
    if as_json:
        client.print_json(found)
        return
    until = "now" if found["end"] is None else when(found["end"])
    ports = f"ports {found['first_port']}-{found['last_port']}"
    who = ""
    if "subscriber" in found:
        who = f", subscriber {found['subscriber'] or 'nobody the policy knows'},"
    had = f"{found['internal']}{who} had {found['external']} {ports} of {found['mcp']}"
    print(f"{had} from {when(found['begin'])} until {until}")


def _report(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    kept = 0
    lines = _lines(args.file)
    for batch in _batches(lines):
        if controller.progress is not None:
            controller.progress.text = f"{kept:,} of {len(lines):,} mappings are kept"
        answer = controller.request(
            "POST",
            ["mcps", args.mcp, "mappings"],
            body=json.dumps({"mappings": batch}).encode(),
            headers=client.JSON_BODY,
        )
        kept += answer.body["kept"]
    if args.json:
        client.print_json({"kept": kept})
    else:
        print(f"{kept} mappings are kept")


def _lines(path: str) -> list[Json]:
    """The lines of a log. Raises BadInput."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise client.BadInput(f"{path}: {error.strerror}") from None
    except ValueError:
        raise client.BadInput(f"{path} is no mapping log") from None
    found: list[Json] = []
    wrong = WrongLines(path)
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found += [reported(json.loads(line))] if line.strip() else []
        except (ValueError, AttributeError, RecursionError):
            wrong.found(number)
    if wrong.count and not found:
        raise client.BadInput(f"{path} is no mapping log")
    wrong.tell()
    return found


def _batches(lines: list[Json]) -> list[list[Json]]:
    return [lines[at : at + BATCH] for at in range(0, len(lines), BATCH)]


def moment(text: str) -> float:
    """Seconds since 1970 of a number or an ISO 8601 time; without a zone it is UTC. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
