"""`steering decode`: the MPTCP connections in a capture file.

How doubtful cases are decided is written in `steering.trace.connections`. What stands before the damage in a
damaged file is still listed; the status is then 2. JSON, with --json, is a list of
`{"version", "tokens": {"initiator", "responder"}, "fallback", "subflows": [{"src", "sport", "dst", "dport",
"join", "address_id", "backup", "hmac", "reset"}]}`, `reset` null or `{"reason", "transient"}`; `reason` is null
for a RST without MP_TCPRST. Keys are never shown: who knows them can abort the connection.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from steering.cli.capture import CaptureError, read_capture
from steering.cli.table import table
from steering.trace.connections import Connection, ConnectionTracker, Subflow
from steering.trace.frames import read_frame
from steering.trace.links import LinkType
from steering.wire.errors import WireError
from steering.wire.mptcp import ResetReason

SUMMARY = "list the MPTCP connections in a capture file (pcap or pcapng)"
_LINKS: frozenset[int] = frozenset(LinkType)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="capture file, pcap or pcapng")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(args: argparse.Namespace) -> int:
    """Status 0, or 2 for a file that cannot be read to its end."""
    tracker = ConnectionTracker()
    unread: Counter[str] = Counter()
    links: set[int] = set()
    problem = None
    try:
        for link, frame, length in read_capture(args.file):
            links.add(link)
            try:
                tracker.feed(read_frame(frame, link, length))
            except WireError as error:
                unread[error.reason.value] += 1
        if links and not links & _LINKS:
            problem = f"link type {_list(links)} cannot be read; these can: {_list(_LINKS)}"
    except CaptureError as error:
        problem = str(error)
    except OSError as error:
        problem = error.strerror or str(error)
    if problem is None or links & _LINKS:
        _print(tracker, unread, args.json)
    if problem is not None:
        print(f"steering decode: {args.file}: {problem}", file=sys.stderr)
        return 2
    return 0


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in sorted(numbers))


def _print(tracker: ConnectionTracker, unread: Counter[str], as_json: bool) -> None:
    connections = tracker.connections()
    if as_json:
        print(json.dumps([connection_json(one) for one in connections], indent=2))
        return
    print("\n\n".join(_text(one) for one in connections) or "no TCP connection")
    unread.update(reason.value for reason in tracker.refused.elements())
    if tracker.ignored:
        unread["past the limit of connections"] = tracker.ignored
    if unread:
        print(
            "\nframes left out: " + ", ".join(f"{reason} {count}" for reason, count in sorted(unread.items()))
        )


def connection_json(connection: Connection) -> dict[str, object]:
    """One connection in the form of the module's docstring."""
    return {
        "version": connection.version,
        "tokens": {
            "initiator": _hex(connection.initiator_token),
            "responder": _hex(connection.responder_token),
        },
        "fallback": connection.fallback,
        "subflows": [_subflow_json(subflow) for subflow in connection.subflows],
    }


def _subflow_json(subflow: Subflow) -> dict[str, object]:
    reset = subflow.reset
    return {
        "src": str(ip_address(subflow.src)),
        "sport": subflow.sport,
        "dst": str(ip_address(subflow.dst)),
        "dport": subflow.dport,
        "join": subflow.join,
        "address_id": subflow.address_id,
        "backup": subflow.backup,
        "hmac": subflow.hmac.value,
        "reset": reset and {"reason": reset.reason, "transient": reset.transient},
    }


def _hex(token: bytes | None) -> str | None:
    return None if token is None else token.hex()


def _text(connection: Connection) -> str:
    if connection.version is None:
        joins = connection.subflows[0].join
        title = "MPTCP, the connection of these joins is not in the capture" if joins else "plain TCP"
        if connection.begun_before:
            title = "MPTCP, its handshake is not in the capture"
    else:
        title = f"MPTCP version {connection.version}"
    if connection.fallback:
        title += ", fell back to plain TCP"
    for name, token in (("initiator", connection.initiator_token), ("responder", connection.responder_token)):
        if token is not None:
            title += f", {name} token {token.hex()}"
    headers = ["subflow", "from", "to", "id", "backup", "hmac", "end"]
    return title + "\n" + table(headers, [_row(subflow) for subflow in connection.subflows])


def _row(subflow: Subflow) -> list[object]:
    return [
        "join" if subflow.join else "first",
        _endpoint(subflow.src, subflow.sport),
        _endpoint(subflow.dst, subflow.dport),
        subflow.address_id,
        subflow.backup,
        subflow.hmac.value if subflow.join else None,
        _end(subflow),
    ]


def _endpoint(address: bytes, port: int) -> str:
    return f"{ip_address(address)}:{port}" if len(address) == 4 else f"[{ip_address(address)}]:{port}"


def _end(subflow: Subflow) -> str | None:
    words = ["fast close"] if subflow.fastclose else []
    if subflow.reset is not None:
        words.append("reset")
        if subflow.reset.reason is not None:
            words.append(_reason(subflow.reset.reason))
        if subflow.reset.transient:
            words.append("transient")
    return ", ".join(words) or None


def _reason(number: int) -> str:
    try:
        return ResetReason(number).name.lower().replace("_", " ")
    except ValueError:
        return f"reason {number}"
