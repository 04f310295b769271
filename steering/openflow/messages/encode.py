"""Messages to a switch as bytes, from model records: any rule, meters, groups, barriers, requests.

This module is written for clarity, not speed. Session entries and released segments have fast templates
(templates.py); tests compare the bytes of both.
"""

from struct import Struct
from typing import Literal

from steering.model.rules import FailoverGroup, MeterBand, Rule

from .actions import action
from .errors import EncodeError
from .fields import match

VERSION = 4  # OpenFlow 1.3
ALL_TABLES = 0xFF
NO_BUFFER = 0xFFFF_FFFF
_ANY = 0xFFFF_FFFF  # OFPP_ANY, OFPG_ANY
_ECHO_REPLY = 3
_FLOW_MOD, GROUP_MOD, _MULTIPART_REQUEST, _BARRIER_REQUEST, _METER_MOD = 14, 15, 18, 20, 29
_ADD, _DELETE, _DELETE_STRICT = 0, 3, 4
_GOTO, _WRITE_METADATA, _APPLY, _METER = 1, 2, 4, 6
_METER_COMMANDS = {"add": 0, "modify": 1, "delete": 2}
_GROUP_COMMANDS = {"add": 0, "modify": 1, "delete": 2}
_FAST_FAILOVER = 3
_GROUP_DESC = 7
_KILOBITS, _PACKETS, _BURST = 0x1, 0x2, 0x4  # OFPMF_KBPS, OFPMF_PKTPS, OFPMF_BURST
_DROP_BAND = 1
_FLOW_STATS, _AGGREGATE = 1, 2

_HEADER = Struct("!BBHI")
_FLOW_MOD_BODY = Struct("!QQBBHHHIIIH2x")
_INSTRUCTION = Struct("!HH4x")
_INSTRUCTION_METER = Struct("!HHI")
_GOTO_BODY = Struct("!HHB3x")
_WRITE_METADATA_BODY = Struct("!HH4xQQ")
_METER_BODY = Struct("!HHI")
_GROUP_BODY = Struct("!HBxI")
_BUCKET_BODY = Struct("!HHII4x")
_GROUP_DESC_BODY = Struct("!HH4x")
_BAND_BODY = Struct("!HHII4x")
_STATS_BODY = Struct("!HH4xB3xII4xQQ")


def message(kind: int, xid: int, body: bytes) -> bytes:
    """A whole OpenFlow 1.3 message of type number `kind`."""
    return _HEADER.pack(VERSION, kind, 8 + len(body), xid) + body


def _instructions(rule: Rule) -> bytes:
    out = _INSTRUCTION_METER.pack(_METER, 8, rule.meter) if rule.meter else b""
    if rule.actions:
        actions = b"".join(map(action, rule.actions))
        out += _INSTRUCTION.pack(_APPLY, 8 + len(actions)) + actions
    if rule.metadata is not None:
        out += _WRITE_METADATA_BODY.pack(_WRITE_METADATA, 24, *rule.metadata)
    if rule.goto is not None:
        if rule.goto <= rule.table:
            raise EncodeError(f"table {rule.table} cannot go to table {rule.goto}: only forward")
        out += _GOTO_BODY.pack(_GOTO, 8, rule.goto)
    return out


def flow_mod(rule: Rule, command: Literal["add", "delete_strict"] = "add", xid: int = 0) -> bytes:
    """Add (or replace) a rule, or delete it by its table, priority and match, whatever its cookie.

    Raises EncodeError for a rule that OpenFlow 1.3 cannot express. No rule has an idle time-out: if the entry of a
    silent backup subflow expired, the subflow's next segment would take its natural way. A hard time-out is a lease:
    adding the rule again starts the time anew and keeps the counters. The switch is not asked to report removals
    (OFPFF_SEND_FLOW_REM is not set).
    """
    if command == "add":
        number, cookie, instructions, lease = _ADD, rule.cookie, _instructions(rule), rule.hard_timeout
    else:
        number, cookie, instructions, lease = _DELETE_STRICT, 0, b"", 0
    fixed = _FLOW_MOD_BODY.pack(
        cookie, 0, rule.table, number, 0, lease, rule.priority, NO_BUFFER, _ANY, _ANY, 0
    )
    return message(_FLOW_MOD, xid, fixed + match(rule.match) + instructions)


def delete_by_cookie(cookie: int, mask: int, table: int = ALL_TABLES, xid: int = 0) -> bytes:
    """Delete every entry whose cookie equals `cookie` under `mask`."""
    fixed = _FLOW_MOD_BODY.pack(cookie, mask, table, _DELETE, 0, 0, 0, NO_BUFFER, _ANY, _ANY, 0)
    return message(_FLOW_MOD, xid, fixed + match(()))


def meter_mod(band: MeterBand, command: Literal["add", "modify", "delete"] = "add", xid: int = 0) -> bytes:
    """A drop meter in packets a second or kbit/s. Where the meter exists, the switch answers "add" with error (12, 1)."""
    unit = _KILOBITS if band.kilobits else _PACKETS
    body = _METER_BODY.pack(_METER_COMMANDS[command], unit | _BURST, band.meter)
    if command != "delete":
        body += _BAND_BODY.pack(_DROP_BAND, 16, band.rate, band.burst)
    return message(_METER_MOD, xid, body)


def group_mod(
    group: FailoverGroup, command: Literal["add", "modify", "delete"] = "add", xid: int = 0
) -> bytes:
    """A FAST_FAILOVER group (OpenFlow 1.3, 7.3.4.2). Where the group exists, the switch answers "add" with error (6, 0).
    "delete" needs no buckets, and deletes the rules that use the group too."""
    body = _GROUP_BODY.pack(_GROUP_COMMANDS[command], _FAST_FAILOVER, group.group)
    for bucket in group.buckets if command != "delete" else ():
        actions = b"".join(map(action, bucket.actions))
        body += _BUCKET_BODY.pack(16 + len(actions), 0, bucket.watch, _ANY) + actions
    return message(GROUP_MOD, xid, body)


def group_descriptions_request(xid: int) -> bytes:
    """OFPMP_GROUP_DESC: all groups; see groupdesc.parse."""
    return message(_MULTIPART_REQUEST, xid, _GROUP_DESC_BODY.pack(_GROUP_DESC, 0))


def echo_reply(request: bytes) -> bytes:
    """The answer to an OFPT_ECHO_REQUEST: the same bytes, another type."""
    return request[:1] + bytes((_ECHO_REPLY,)) + request[2:]


def barrier_request(xid: int) -> bytes:
    """OFPT_BARRIER_REQUEST; the reply bears the same xid."""
    return message(_BARRIER_REQUEST, xid, b"")


def aggregate_request(rule: Rule, xid: int = 0) -> bytes:
    """OFPMP_AGGREGATE for the one entry with exactly this rule's match and cookie. Open vSwitch finds an entry by its
    exact cookie without searching all entries."""
    body = _STATS_BODY.pack(_AGGREGATE, 0, rule.table, _ANY, _ANY, rule.cookie, 0xFFFF_FFFF_FFFF_FFFF)
    return message(_MULTIPART_REQUEST, xid, body + match(rule.match))


def aggregate_by_cookie(xid: int, table: int, cookie: int, mask: int) -> bytes:
    """OFPMP_AGGREGATE for the entries of a table whose cookies equal `cookie` under `mask`."""
    body = _STATS_BODY.pack(_AGGREGATE, 0, table, _ANY, _ANY, cookie, mask)
    return message(_MULTIPART_REQUEST, xid, body + match(()))


def flow_stats_request(xid: int, table: int = ALL_TABLES, cookie: int = 0, mask: int = 0) -> bytes:
    """OFPMP_FLOW for every entry whose cookie equals `cookie` under `mask`; see flowstats.parse."""
    body = _STATS_BODY.pack(_FLOW_STATS, 0, table, _ANY, _ANY, cookie, mask)
    return message(_MULTIPART_REQUEST, xid, body + match(()))
