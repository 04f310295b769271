"""`steering mappings`: who had an external address and port at a time, from a relay's mapping log.

Status 0 and the mapping, 1 if nobody had it, 2 for a log that cannot be read. JSON, with --json: `{"mcp", "internal",
"external", "first_port", "last_port", "begin", "end"}`, times in seconds since 1970, `end` null while it lasts.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from steering.relay.mappinglog import LogError, find

SUMMARY = "who had an address and port of a shared pool at a time, from a relay's mapping log"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The question: address, port, time."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the log of `steering relay --mapping-log`")
    parser.add_argument("--address", required=True, help="the address a server saw")
    parser.add_argument("--port", required=True, type=int, help="the port a server saw")
    parser.add_argument(
        "--at", metavar="TIME", help="2026-11-21T14:05:00Z, or seconds since 1970 (default: now)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(args: argparse.Namespace) -> int:
    """Read the log and answer."""
    try:
        at = time.time() if args.at is None else moment(args.at)
        with args.file.open(encoding="utf-8", errors="replace") as lines:
            found = find(lines, args.address, args.port, at)
    except (LogError, ValueError) as error:
        print(f"steering mappings: {args.file}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"steering mappings: {args.file}: {error.strerror}", file=sys.stderr)
        return 2
    if found is None:
        print(f"steering mappings: nobody had {args.address} port {args.port} then", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(asdict(found)))
    else:
        until = "now" if found.end is None else told(found.end)
        print(
            f"{found.internal} had {found.external} ports {found.first_port}-{found.last_port} of {found.mcp} "
            f"from {told(found.begin)} until {until}"
        )
    return 0


def moment(text: str) -> float:
    """Seconds since 1970 of a number or an ISO 8601 time; without a zone it is UTC. Raises ValueError."""
    try:
        return float(text)
    except ValueError:
        given = datetime.fromisoformat(text)
        return (given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()


def told(seconds: float) -> str:
    """A time as people read it, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
