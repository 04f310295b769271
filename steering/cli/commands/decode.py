"""`steering decode`: the MPTCP connections in a capture file.

`steering.trace.connections` says how doubtful cases are decided. Of a damaged file, the part before the damage is
still listed. The exit status is 2 if the file was not read to its end, or holds more connections than are kept. Each
connection of the list then has `truncated` true, since packets of it may be missing.

With --json the output is a list of `{"version", "tokens": {"initiator", "responder"}, "fallback", "begun_before",
"deny_join": {"initiator", "responder"}, "keys_differ", "truncated", "subflows": [{"src", "sport", "dst", "dport",
"join", "address_id", "backup", "hmac", "reset", "fastclose", "fastclose_refused"}]}`, `reset` null or `{"reason",
"transient"}`; `reason` is null for a RST without MP_TCPRST. Keys are never shown: anybody who knows them can abort
the connection.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from steering.cli.capture import CaptureError, read_capture
from steering.cli.progress import ProgressLine
from steering.cli.table import table
from steering.trace.connections import MAX_LEGS, Connection, ConnectionTracker, TracedSubflow
from steering.trace.frames import read_frame
from steering.trace.links import LinkType
from steering.wire.errors import WireError
from steering.wire.mptcp import ResetReason

SUMMARY = "list the MPTCP connections in a capture file (pcap or pcapng)"
EXAMPLE: str = "steering decode capture.pcap"
DESCRIPTION = """List the MPTCP connections in a capture file, and what is plain TCP.

For each connection: version, tokens, whether it fell back to plain TCP, and its subflows with address id, backup flag,
whether the HMACs of a join verify, and how it ended. Keys are never shown.
pcap and pcapng are read, also compressed with gzip, bzip2 or xz; Ethernet (with VLAN tags, MPLS, PPPoE), Linux cooked,
raw IP, PPP, loopback and IPsec link types."""
EPILOG = """The status is 0, or 2 if the file could not be read to its end or holds more connections than are kept:
what was read until then is listed, with "truncated" true in the JSON."""
TOLD = 10_000  # frames between two changes of the progress line
_LINKS: frozenset[int] = frozenset(LinkType)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("file", type=Path, metavar="FILE", help="capture file, pcap or pcapng")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def run(args: argparse.Namespace) -> int:
    """Returns 0, or 2 for a file that was not read to its end."""
    tracker = ConnectionTracker(MAX_LEGS)
    unread: Counter[str] = Counter()
    links: set[int] = set()
    problem = None
    try:
        with ProgressLine(f"reading {args.file}") as progress:
            for number, (link, frame, length) in enumerate(read_capture(args.file)):
                if number % TOLD == 0:
                    progress.text = f"reading {args.file}: {number:,} frames"
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
    if problem is None and tracker.ignored:
        problem = (
            f"more than {MAX_LEGS} TCP connections: {tracker.ignored} segments of further ones were left out"
        )
    if problem is None or links & _LINKS:
        _print(tracker, unread, args.json, truncated=problem is not None)
    if problem is not None:
        print(f"steering decode: {args.file}: {problem}", file=sys.stderr)
        return 2
    if args.json and unread:
        print(f"steering decode: {args.file}: frames left out: {_counted(unread)}", file=sys.stderr)
    return 0


def _list(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(number)) for number in sorted(numbers))


def _print(tracker: ConnectionTracker, unread: Counter[str], as_json: bool, truncated: bool) -> None:
    connections = tracker.connections()
    if as_json:
        print(json.dumps([connection_json(one, truncated) for one in connections], indent=2))
        return
    print("\n\n".join(_text(one) for one in connections) or "no TCP connection")
    if unread:
        print(f"\nframes left out: {_counted(unread)}")
    if tracker.refused:
        damage = Counter({reason.value: count for reason, count in tracker.refused.items()})
        print(f"\nsegments with damaged options, read up to the damage: {_counted(damage)}")


def _counted(reasons: Counter[str]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))


def connection_json(connection: Connection, truncated: bool) -> dict[str, object]:
    """One connection in the form that the module's docstring describes."""
    return {
        "version": connection.version,
        "tokens": {
            "initiator": _hex(connection.initiator_token),
            "responder": _hex(connection.responder_token),
        },
        "fallback": connection.fallback,
        "begun_before": connection.begun_before,
        "deny_join": {
            "initiator": connection.initiator_denies_joins,
            "responder": connection.responder_denies_joins,
        },
        "keys_differ": connection.keys_differ,
        "truncated": truncated,
        "subflows": [_subflow_json(subflow) for subflow in connection.subflows],
    }


def _subflow_json(subflow: TracedSubflow) -> dict[str, object]:
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
        "reset": None if reset is None else {"reason": reset.reason, "transient": reset.transient},
        "fastclose": subflow.fastclose,
        "fastclose_refused": subflow.fastclose_refused,
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
    if connection.keys_differ:
        title += ", the handshake repeats other keys than it began with"
    for name, denies in (
        ("initiator", connection.initiator_denies_joins),
        ("responder", connection.responder_denies_joins),
    ):
        if denies:
            title += f", no joins to the {name}'s address"
    headers = ["subflow", "from", "to", "id", "backup", "hmac", "end"]
    return title + "\n" + table(headers, [_row(subflow) for subflow in connection.subflows])


def _row(subflow: TracedSubflow) -> list[object]:
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


def _end(subflow: TracedSubflow) -> str | None:
    words = ["fast close"] if subflow.fastclose else []
    if subflow.fastclose_refused:
        words.append("fast close with a wrong key, ignored")
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
