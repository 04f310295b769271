"""Flow statistics -> session and host entries, as recovery and sweeps need them.

os-ken's parser takes 4.4 s for 100,000 entries, and loses the whole answer when one entry holds an unknown action. So
this module has its own parser. Session entries come in two usual forms: as the controller wrote them, and with Open
vSwitch's order of fields. One `Struct` reads each usual form. A general parser reads any other form.
"""

from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple

from steering.core.inputs import ObservedEntry, ObservedHost
from steering.model.ids import DatapathId, PortNumber
from steering.model.rules import (
    COOKIE_KIND_MASK,
    EPOCH_MASK,
    LABEL_PREFIX,
    OWNER,
    ROLE_MASK,
    ROLE_SHIFT,
    WAYPOINT_MASK,
    CookieKind,
    Table,
)
from steering.model.session import Entry, Watch
from steering.model.session_rule import SESSION_PRIORITY, session_rule

from .actions import CONTROLLER_HEAD
from .encode import flow_mod
from .errors import MalformedMessage, MessageFault
from .fields import FIELDS, oxm
from .templates import marked_entry, template

# length, table, priority, cookie, packets, bytes, match type, match length
_HEAD = Struct("!HBx8xH10xQQQHH").unpack_from
_HEAD_SIZE = 52
_MATCH_AT = 48
_MATCH_IN_MOD = 48  # the match's place in a flow-mod: after 8 bytes of header and 40 of fields
_LENGTH = Struct("!H").unpack_from
_PAIR = Struct("!HH").unpack_from
_OXM = Struct("!I").unpack_from
_METADATA = Struct("!QQ").unpack_from
_PORT = Struct("!H").unpack_from
_GOTO, _APPLY_ACTIONS, _OUTPUT, _SET_FIELD, _EXPERIMENTER = 1, 4, 0, 25, 0xFFFF
_SESSION = OWNER << 4 | CookieKind.SESSION
_HOST = OWNER << 4 | CookieKind.HOST
_STATIC = OWNER << 4 | CookieKind.STATIC
_LABEL = LABEL_PREFIX.to_bytes(3, "big")
_NO_KIND = 3  # the two lowest cookie flags: no EntryKind has this number


class ObservedTables(NamedTuple):
    """The entries of one switch that were read. `cookies`: kind and epoch of the static and host rules among them.
    `ignored`: number of entries with a session or host cookie of this project, but not in a form that it writes."""

    entries: list[ObservedEntry]
    hosts: list[ObservedHost]
    cookies: set[int]
    ignored: int


class _Form(NamedTuple):
    """A whole ofp_flow_stats of a session entry in one layout. Constant bytes and changing parts alternate; the first
    changing part is the duration. `places`: the indices of source, destination, their ports and role among the parts
    after the byte counter."""

    layout: Struct
    constants: tuple[bytes, ...]
    places: tuple[int, int, int, int, int]


def _form(family: int, match: bytes, names: list[str]) -> _Form:
    """The form with this match, whose fields have these names."""
    entry, (_, role, first, second, third, fourth, way, path) = marked_entry(family)
    rule = session_rule(entry)
    instructions = flow_mod(rule)[_MATCH_IN_MOD + len(match) :]
    parts = {"src": first, "dst": second, "sport": third, "dport": fourth, "role": role}
    if family == 6:
        parts |= {"sport": first, "dport": second, "src": third, "dst": fourth}
    rest, constants = template(match + instructions, [*(parts[name] for name in names), way, path])
    size = (_MATCH_AT + rest.size).to_bytes(2, "big")
    before = size + bytes([Table.SESSION, 0])
    timeouts_and_flags = SESSION_PRIORITY.to_bytes(2, "big") + bytes(6)
    head = f"!4sQ8s4xQ0sQ0sQ{rest.format[1:]}"
    source, target, sport, dport, from_role = map(names.index, ("src", "dst", "sport", "dport", "role"))
    return _Form(
        Struct(head),
        (before, timeouts_and_flags, b"", b"", *constants),
        (source, target, sport, dport, from_role),
    )


def _usual(family: int) -> tuple[_Form, _Form]:
    """Two forms of an entry: with Open vSwitch's order of fields, and as the controller wrote it."""
    entry, _ = marked_entry(family)
    rule = session_rule(entry)
    pairs = dict(rule.match)
    order = ["eth_type", f"ipv{family}_src", f"ipv{family}_dst", "ip_proto", "tcp_src", "tcp_dst", "metadata"]
    body = b"".join(oxm(name, pairs[name]) for name in order)
    match = b"\0\1" + (4 + len(body)).to_bytes(2, "big") + body + bytes(-(4 + len(body)) % 8)
    written = flow_mod(rule)[_MATCH_IN_MOD : _MATCH_IN_MOD + len(match)]
    addresses, ports = ["src", "dst"], ["sport", "dport"]
    in_numbers_order = addresses + ports if family == 4 else ports + addresses
    return (
        _form(family, match, [*addresses, *ports, "role"]),
        _form(family, written, ["role", *in_numbers_order]),
    )


_USUAL4, _USUAL6 = _usual(4), _usual(6)
_LENGTH4, _LENGTH6 = _USUAL4[0].layout.size, _USUAL6[0].layout.size
_make: Any = tuple.__new__


def parse(dpid: DatapathId, body: bytes) -> ObservedTables:
    """The array of ofp_flow_stats of one OFPMP_FLOW reply: what follows its 16-byte multipart header.

    Entries with foreign cookies are passed over. Raises MalformedMessage where lengths do not add up.
    """
    seen = _EntryScan(dpid)
    add = seen.entries.append
    at, size = 0, len(body)
    while at < size:
        if size - at < _HEAD_SIZE:
            raise MalformedMessage(MessageFault.TRUNCATED)
        (length,) = _LENGTH(body, at)
        if length < _HEAD_SIZE:
            raise MalformedMessage(MessageFault.BAD_LENGTH)
        if length > size - at:
            raise MalformedMessage(MessageFault.TRUNCATED)
        usual = None
        if length == _LENGTH4:
            usual = _usual_entry(dpid, 4, body, at, _USUAL4)
        elif length == _LENGTH6:
            usual = _usual_entry(dpid, 6, body, at, _USUAL6)
        if usual is not None:
            add(usual)
        else:
            seen.other(body[at : at + length])
        at += length
    return ObservedTables(seen.entries, seen.hosts, seen.cookies, seen.ignored)


def pieces(body: bytes, rows: int = 64) -> Iterator[bytes]:
    """`body` in pieces of `rows` whole entries, each for `parse`. One message may hold a thousand entries, and reading
    all of them takes longer than other switches should wait. From an entry with a wrong length on, the rest of `body`
    is the last piece."""
    begin = at = count = 0
    size = len(body)
    while size - at >= _HEAD_SIZE:
        (length,) = _LENGTH(body, at)
        if not _HEAD_SIZE <= length <= size - at:
            break
        at += length
        count += 1
        if count == rows:
            yield body[begin:at]
            begin, count = at, 0
    if begin < size:
        yield body[begin:]


def _usual_entry(
    dpid: DatapathId, family: int, body: bytes, at: int, forms: tuple[_Form, ...]
) -> ObservedEntry | None:
    """A session entry in one of the usual forms; None for any other form."""
    for layout, constants, (src, dst, sport, dport, role) in forms:
        parts = layout.unpack_from(body, at)
        if parts[::2] != constants:
            continue
        _, cookie, packets, size, *fields, way, path = parts[1::2]
        if cookie >> 52 != _SESSION or cookie >> 48 & 3 == _NO_KIND:
            return None
        flow = (fields[src], fields[dst], fields[sport], fields[dport])
        # This makes the two records as their own constructors do, but faster: there may be a million entries.
        entry = _make(Entry, (dpid, fields[role], family, *flow, way, path, cookie, 0))
        return _make(ObservedEntry, (entry, packets, size))
    return None


class _EntryScan:
    """What a scan of entries has found so far, and the general way of reading an entry."""

    def __init__(self, dpid: DatapathId) -> None:
        self.dpid = dpid
        self.entries: list[ObservedEntry] = []
        self.hosts: list[ObservedHost] = []
        self.cookies: set[int] = set()
        self.ignored = 0
        self._transit: set[ObservedHost] = set()

    def other(self, part: bytes) -> None:
        """Take one whole ofp_flow_stats of any form."""
        _, table, priority, cookie, packets, size, match_type, match_length = _HEAD(part)
        if match_type != 1 or match_length < 4 or _MATCH_AT + (match_length + 7 & ~7) > len(part):
            raise MalformedMessage(MessageFault.BAD_MATCH)
        owner, rest = cookie >> 52, part[_MATCH_AT:]
        if owner == _SESSION:
            entry = None
            if table == Table.SESSION and priority == SESSION_PRIORITY and cookie >> 48 & 3 != _NO_KIND:
                entry = _any_entry(self.dpid, cookie, rest, match_length)
            if entry is None:
                self.ignored += 1
            else:
                self.entries.append(ObservedEntry(entry, packets, size))
        elif owner == _HOST or owner == _STATIC:
            self.cookies.add(cookie & (COOKIE_KIND_MASK | EPOCH_MASK))
            if table == Table.HOST:
                host = _host(self.dpid, rest, match_length)
                if host is not None and host not in self._transit:
                    self.hosts.append(host)
                    if not host.address:  # one rule for each family leads to the same neighbour
                        self._transit.add(host)
                elif host is None and owner == _HOST:
                    self.ignored += 1


def _fields(part: bytes, end: int) -> dict[int, bytes]:
    """OXM header -> payload of the match at the start of `part`."""
    found: dict[int, bytes] = {}
    at = 4
    while at + 4 <= end:
        (header,) = _OXM(part, at)
        following = at + 4 + (header & 0xFF)
        if following > end:
            raise MalformedMessage(MessageFault.BAD_MATCH)
        found[header] = part[at + 4 : following]
        at = following
    if at != end:
        raise MalformedMessage(MessageFault.BAD_MATCH)
    return found


def _blocks(part: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """(type, start, end) of each instruction, or action: both are (type 16, length 16) and what follows."""
    found = []
    while at < end:
        if end - at < 8:
            raise MalformedMessage(MessageFault.TRUNCATED)
        kind, length = _PAIR(part, at)
        if length < 8:
            raise MalformedMessage(MessageFault.BAD_LENGTH)
        if at + length > end:
            raise MalformedMessage(MessageFault.TRUNCATED)
        found.append((kind, at, at + length))
        at += length
    return found


def _actions(part: bytes, match_length: int) -> tuple[dict[int, bytes], list[int]]:
    """Fields that the apply-actions set (OXM header -> value) and its output ports; others are passed over."""
    fields: dict[int, bytes] = {}
    ports: list[int] = []
    for instruction, start, end in _blocks(part, match_length + 7 & ~7, len(part)):
        if instruction != _APPLY_ACTIONS:
            continue
        for action, first, last in _blocks(part, start + 8, end):
            if action == _SET_FIELD:
                (header,) = _OXM(part, first + 4)
                if first + 8 + (header & 0xFF) > last:
                    raise MalformedMessage(MessageFault.BAD_LENGTH)
                fields[header] = part[first + 8 : first + 8 + (header & 0xFF)]
            elif action == _OUTPUT:
                if last - first != 16:
                    raise MalformedMessage(MessageFault.BAD_LENGTH)
                ports.append(_OXM(part, first + 4)[0])
    return fields, ports


_H = {name: field.header() for name, field in FIELDS.items()}
_METADATA_MASKED = FIELDS["metadata"].header(masked=True)
_TCP_FIELDS = {_METADATA_MASKED, *(_H[name] for name in ("eth_type", "ip_proto", "tcp_src", "tcp_dst"))}
_FAMILIES = ((4, b"\x08\x00", "ipv4_src", "ipv4_dst"), (6, b"\x86\xdd", "ipv6_src", "ipv6_dst"))


def _any_entry(dpid: DatapathId, cookie: int, part: bytes, match_length: int) -> Entry | None:
    """A session entry with its fields in any order and whatever actions besides; None for another form."""
    match = _fields(part, match_length)
    actions, _ = _actions(part, match_length)
    label = actions.get(_H["eth_dst"], b"")
    for family, eth_type, src, dst in _FAMILIES:
        if match.keys() != _TCP_FIELDS | {_H[src], _H[dst]}:
            continue
        metadata, mask = _METADATA(match[_METADATA_MASKED])
        fits = match[_H["eth_type"]] == eth_type and match[_H["ip_proto"]] == b"\x06" and mask == ROLE_MASK
        if not fits or label[:3] != _LABEL:
            return None
        (sport,), (dport,) = _PORT(match[_H["tcp_src"]]), _PORT(match[_H["tcp_dst"]])
        way, path = int.from_bytes(label[3:5], "big"), label[5]
        role = metadata >> ROLE_SHIFT & 0xF
        watch = _watch(part, match_length)
        return Entry(
            dpid, role, family, match[_H[src]], match[_H[dst]], sport, dport, way, path, cookie, watch
        )  # fmt: skip
    return None


def _watch(part: bytes, match_length: int) -> Watch:
    """How an entry is watched: whether it copies packets to the controller, and whether it goes on to another table."""
    copies = goes_on = False
    for instruction, start, end in _blocks(part, match_length + 7 & ~7, len(part)):
        goes_on |= instruction == _GOTO
        if instruction == _APPLY_ACTIONS:
            for action, first, _ in _blocks(part, start + 8, end):
                copies |= action == _EXPERIMENTER and part.startswith(CONTROLLER_HEAD, first + 4)
    if not copies:
        return Watch.NOTHING
    return Watch.COPY if goes_on else Watch.PUNT


def _host(dpid: DatapathId, part: bytes, match_length: int) -> ObservedHost | None:
    """A neighbour's entry (core/pipeline/forwarding.py): a host by its address. With an empty address, the MCP or next
    hop to which all packets for the waypoint go. None for an entry of another form."""
    match = _fields(part, match_length)
    actions, ports = _actions(part, match_length)
    mac = actions.get(_H["eth_dst"])
    if mac is None or len(ports) != 1 or _METADATA_MASKED not in match:
        return None
    waypoint, mask = _METADATA(match.pop(_METADATA_MASKED))
    eth_type = match.pop(_H["eth_type"], b"")
    if mask != WAYPOINT_MASK:
        return None
    for _, family, _, dst in _FAMILIES:
        if eth_type == family and match.keys() <= {_H[dst]}:
            return ObservedHost(
                dpid, waypoint & WAYPOINT_MASK, match.get(_H[dst], b""), mac, PortNumber(ports[0])
            )
    return None
