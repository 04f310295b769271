"""Prepared messages for sessions: one `Struct.pack` makes an entry or releases a segment.

os-ken's own classes need 56 us for a flow-mod (docs/design/measured.rst); a template needs less than 1 us. The constant
bytes are cut at import time from the message that encode.py makes of a reference rule, so both always agree. Tests
compare the messages byte by byte as well.
"""

from collections.abc import Iterator
from struct import Struct

from steering.core.outputs import ANEW, NATURAL, Release
from steering.model.ids import DatapathId
from steering.model.rules import LABEL_PREFIX, Table
from steering.model.session import Entry, Watch
from steering.model.session_rule import session_rule

from .actions import DEC_TTL, resubmit, set_field
from .encode import NO_BUFFER, VERSION, aggregate_request, flow_mod

_PACKET_OUT = 13
_EXACT_COOKIE = b"\xff" * 8
_Part = tuple[
    bytes, str
]  # the bytes that mark a variable part of the reference message, and its struct format

# Values that mark the variable parts. None occurs in the reference message before its own place.
_MARKED = {"role": 0xE, "sport": 0xC3D4, "dport": 0xD5E6, "waypoint": 0xE7E8, "path": 0xF9}
_XID = 0xF0F1_F2F3
_COOKIE = 0xC0C1_C2C3_C4C5_C6C7


def marked_entry(family: int, watch: int = 0) -> tuple[Entry, list[_Part]]:
    """An entry with the marking values, and its variable parts in the order of the message."""
    size = 4 if family == 4 else 16
    src, dst = b"\xa1" * size, b"\xb2" * size
    entry = Entry(dpid=DatapathId(0), family=family, src=src, dst=dst, cookie=_COOKIE, watch=watch, **_MARKED)
    addresses = [(src, f"{size}s"), (dst, f"{size}s")]
    ports = [(_MARKED[name].to_bytes(2, "big"), "H") for name in ("sport", "dport")]
    fields = addresses + ports if family == 4 else ports + addresses  # OXM numbers: 11, 12 < 13, 14 < 26, 27
    label = [(_MARKED["waypoint"].to_bytes(2, "big"), "H"), (_MARKED["path"].to_bytes(1, "big"), "B")]
    head = [(_COOKIE.to_bytes(8, "big"), "Q"), (_MARKED["role"].to_bytes(1, "big"), "B")]
    return entry, [*head, *fields, *label]


def _cut(message: bytes, parts: list[_Part]) -> Iterator[bytes | str]:
    """The constant bytes of the message and the formats of its variable parts, in turn, with bytes at both ends."""
    rest = message
    for mark, form in parts:
        before, found, rest = rest.partition(mark)
        assert found, "the reference rule's layout is not the one this template was written for"
        yield before
        yield form
    yield rest


def template(message: bytes, parts: list[_Part]) -> tuple[Struct, list[bytes]]:
    pieces = list(_cut(message, parts))
    layout = "".join(f"{len(piece)}s" if isinstance(piece, bytes) else piece for piece in pieces)
    return Struct("!" + layout), [piece for piece in pieces if isinstance(piece, bytes)]


def _add_template(family: int, watch: int = 0) -> tuple[Struct, list[bytes]]:
    entry, parts = marked_entry(family, watch)
    return template(flow_mod(session_rule(entry)), parts)


def _delete_template(family: int) -> tuple[Struct, list[bytes]]:
    entry, parts = marked_entry(family)
    plain = flow_mod(session_rule(entry), "delete_strict")
    exact = plain[:8] + parts[0][0] + _EXACT_COOKIE + plain[24:]
    return template(exact, parts[:-2])


def _count_template(family: int) -> tuple[Struct, list[bytes]]:
    entry, parts = marked_entry(family)
    return template(
        aggregate_request(session_rule(entry), _XID), [(_XID.to_bytes(4, "big"), "I"), *parts[:-2]]
    )


_ADD4, (_A0, _A1, _A2, _A3, _A4, _A5, _A6, _A7, _A8) = _add_template(4)
_ADD6, (_B0, _B1, _B2, _B3, _B4, _B5, _B6, _B7, _B8) = _add_template(6)
_DEL4, (_C0, _C1, _C2, _C3, _C4, _C5, _C6) = _delete_template(4)
_DEL6, (_D0, _D1, _D2, _D3, _D4, _D5, _D6) = _delete_template(6)
_COUNT4, (_E0, _E1, _E2, _E3, _E4, _E5, _E6, _E7) = _count_template(4)
_COUNT6, (_F0, _F1, _F2, _F3, _F4, _F5, _F6, _F7) = _count_template(6)
_WATCHED = {(f, int(w)): _add_template(f, w) for f in (4, 6) for w in (Watch.COPY, Watch.PUNT)}
_add4, _add6, _del4, _del6 = _ADD4.pack, _ADD6.pack, _DEL4.pack, _DEL6.pack
_count4, _count6 = _COUNT4.pack, _COUNT6.pack


def entry_add(entry: Entry) -> bytes:
    """The same message as `flow_mod(session_rule(entry))`. The length of the addresses must fit the family, which is
    not checked."""
    _, role, family, src, dst, sport, dport, way, path, cookie, watch = entry
    if watch:
        return _watched_add(entry)
    if family == 4:
        return _add4(
            _A0, cookie, _A1, role, _A2, src, _A3, dst, _A4, sport, _A5, dport, _A6, way, _A7, path, _A8
        )
    return _add6(_B0, cookie, _B1, role, _B2, sport, _B3, dport, _B4, src, _B5, dst, _B6, way, _B7, path, _B8)


def _watched_add(entry: Entry) -> bytes:
    """The message of a watched entry. There are few of these, so one function serves all forms."""
    _, role, family, src, dst, sport, dport, way, path, cookie, watch = entry
    layout, constants = _WATCHED[family, watch]
    fields = (src, dst, sport, dport) if family == 4 else (sport, dport, src, dst)
    values = (cookie, role, *fields, way, path)
    parts = [part for pair in zip(constants, values, strict=False) for part in pair]
    return layout.pack(*parts, constants[-1])


def entry_delete(entry: Entry) -> bytes:
    """The message that deletes an entry strictly, and only if the entry has exactly this cookie. An entry of the same
    5-tuple that was added later for another session must stay."""
    _, role, family, src, dst, sport, dport, _, _, cookie, _ = entry
    if family == 4:
        return _del4(_C0, cookie, _C1, role, _C2, src, _C3, dst, _C4, sport, _C5, dport, _C6)
    return _del6(_D0, cookie, _D1, role, _D2, sport, _D3, dport, _D4, src, _D5, dst, _D6)


def entry_count(entry: Entry, xid: int) -> bytes:
    """`aggregate_request(session_rule(entry), xid)`: ask what the entry has counted."""
    _, role, family, src, dst, sport, dport, _, _, cookie, _ = entry
    if family == 4:
        return _count4(_E0, xid, _E1, cookie, _E2, role, _E3, src, _E4, dst, _E5, sport, _E6, dport, _E7)
    return _count6(_F0, xid, _F1, cookie, _F2, role, _F3, sport, _F4, dport, _F5, src, _F6, dst, _F7)


_OUT_HEAD = "!BBHIIIH6x"
_SET_LABEL = set_field("eth_dst", f"{LABEL_PREFIX >> 16:02x}:53:54:00:00:00")[:11]
_STEERED_TAIL = bytes(2) + DEC_TTL + resubmit(Table.LABEL)
_STEERED = Struct(f"{_OUT_HEAD}11sHB{len(_STEERED_TAIL)}s")
_SET_METADATA = set_field("metadata", 0)[:13]
_NATURAL_TAIL = bytes(2) + resubmit(Table.ROUTE)
_NATURAL = Struct(f"{_OUT_HEAD}13sB{len(_NATURAL_TAIL)}s")
_ANEW_ACTIONS = resubmit(Table.GUARD)
_ANEW = Struct(f"{_OUT_HEAD}{len(_ANEW_ACTIONS)}s")
_STEERED_ACTIONS, _NATURAL_ACTIONS = _STEERED.size - 24, _NATURAL.size - 24
_steered, _natural = _STEERED.pack, _NATURAL.pack


def release(rel: Release) -> bytes:
    """A packet-out that puts a held segment back into the pipeline, as if the segment came in at `in_port`. A steered
    segment enters table LABEL. A segment that takes its natural path enters table ROUTE, with the ingress role in its
    metadata. A segment that begins anew enters table GUARD."""
    _, in_port, frame, waypoint, path, role = rel
    if waypoint == ANEW:
        length = _ANEW.size + len(frame)
        head = _ANEW.pack(
            VERSION, _PACKET_OUT, length, 0, NO_BUFFER, in_port, len(_ANEW_ACTIONS), _ANEW_ACTIONS
        )
        return head + frame
    if waypoint == NATURAL:
        return (
            _natural(
                VERSION, _PACKET_OUT, _NATURAL.size + len(frame), 0, NO_BUFFER, in_port, _NATURAL_ACTIONS,
                _SET_METADATA, role, _NATURAL_TAIL,
            )
            + frame
        )  # fmt: skip
    return (
        _steered(
            VERSION, _PACKET_OUT, _STEERED.size + len(frame), 0, NO_BUFFER, in_port, _STEERED_ACTIONS,
            _SET_LABEL, waypoint, path, _STEERED_TAIL,
        )
        + frame
    )  # fmt: skip
