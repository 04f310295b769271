"""`steering events`: prints events of the controller as they happen."""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from steering.cli import client
from steering.cli.arguments import positive, since
from steering.model.event_kind import EventKind

SUMMARY: str = "follow sessions, subflows, refusals, alarms, topology and policy as they change"
EXAMPLE: str = "steering events --kind alarm --since 10m"

INCOMPLETE = (
    "steering: not all since then is known: the controller keeps its last 1,024 events; changes of sessions, subflows, topology, policy "
    "and reservations, and refusals, are among them only while somebody follows events"
)

Json = dict[str, Any]


class ReceivedEvent(NamedTuple):
    id: str
    kind: str
    data: Json
    time: str | None = (
        None  # when the event was sent, ISO 8601 in UTC; None for a state at the start, and for events of the stream itself
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--mcp", metavar="NAME", help="what this MCP is told: access networks, its drain")
    whose.add_argument("--controller", metavar="NAME", help="only events of this controller of a cluster")
    parser.add_argument(
        "--kind",
        action="append",
        choices=[kind.value for kind in EventKind],
        metavar="KIND",
        help=f"only these: {', '.join(EventKind)}",
    )
    parser.add_argument(
        "--since",
        type=since,
        metavar="WHEN",
        help="first what the controller keeps of those since then: for example 10m, 2h or 2026-11-30T12:00:00Z",
    )
    parser.add_argument("--count", type=positive, metavar="N", help="end after N events")
    client.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    return client.ask(args, lambda controller: _follow(controller, args))


def _follow(controller: client.ControllerClient, args: argparse.Namespace) -> None:
    if args.mcp is not None and args.since is not None:
        raise client.BadInput("--since is of the controller's own events; --mcp begins with how things stand")
    path = ["events"] if args.mcp is None else ["mcps", args.mcp, "events"]
    left = args.count
    asked = None if args.since is None else str(args.since)
    for number, event in enumerate(events(controller.lines(*path, controller=args.controller, since=asked))):
        if asked is not None and number == 0 and event.kind == EventKind.RESET:
            print(INCOMPLETE, file=sys.stderr)
        if args.kind and event.kind not in args.kind:
            continue
        print(json.dumps(event._asdict()) if args.json else _line(event))
        sys.stdout.flush()
        if left is not None:
            left -= 1
            if left == 0:
                return
    raise client.Unavailable(
        "the controller has ended the stream: it stops, the token has expired, or too much waited to be read"
    )


def events(lines: Iterable[str]) -> Iterator[ReceivedEvent]:
    """The events of a stream (WHATWG HTML, section 9.2.6). Events whose data are not a JSON object are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        data = _object(fields.get("data", ""))
        if data is not None:
            kind, time = fields.get("event", "message"), fields.get("time")
            yield ReceivedEvent(fields.get("id", ""), kind, data, time)
        fields = {}


def _object(text: str) -> Json | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _line(event: ReceivedEvent) -> str:
    """An event as a line: `12:00:01Z  session   id=17 change=started ...`, in UTC, with the day where that is not today.
    Fields that are null are left out."""
    told = " ".join(f"{name}={_value(value)}" for name, value in event.data.items() if value is not None)
    return f"{_when(event.time)}  {event.kind:<9} {told}"


def _when(told: str | None) -> str:
    now = datetime.now(UTC)
    try:
        time = now if told is None else datetime.fromisoformat(told).astimezone(UTC)
    except (ValueError, OverflowError):
        time = now
    return f"{time:%H:%M:%S}Z" if time.date() == now.date() else f"{time:%Y-%m-%dT%H:%M:%S}Z"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
