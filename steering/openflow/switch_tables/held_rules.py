"""Compares the static and host rules that a switch holds with those that it should hold.

A controller that takes a switch over from another one keeps the rules that are right: adding a rule again would reset
its counters, and every change of a table empties the switch's cache. Open vSwitch reports the fields of a match in its
own order. So fields are sorted before the comparison; actions are compared in their order.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from struct import Struct

from steering.model.rules import EPOCH_MASK, OWNER, CookieKind, Rule
from steering.openflow.messages.actions import CONTROLLER_HEAD
from steering.openflow.messages.encode import NO_BUFFER, flow_mod, message
from steering.openflow.messages.errors import MalformedMessage, MessageFault

# length, table, priority, idle and hard time-out, flags, cookie
_STATS = Struct("!HBx8xHHHH4xQ16x").unpack_from
_MATCH_AT = 48
# cookie, table, command, idle and hard time-out, priority, flags
_MOD = Struct("!8xQ8xBBHHH12xH2x").unpack_from
_DELETE_BODY = Struct("!QQBBHHHIIIH2x")
_PAIR = Struct("!HH").unpack_from
_FLOW_MOD, _DELETE_STRICT, _ANY = 14, 4, 0xFFFF_FFFF
_APPLY, _EXPERIMENTER = 4, b"\xff\xff"
_NICIRA_HEAD = 16  # bytes of a Nicira action before its own fields
_MOVE_HEAD, _MOVE_LENGTH = bytes.fromhex("000023200006"), 24  # NXAST_REG_MOVE
_MAX_LENGTH = 0  # property of NXAST_CONTROLLER2
_MASKED_FRAG, _EXACT_FRAG, _FRAG_BITS = (
    bytes.fromhex("00013502"),
    bytes.fromhex("00013401"),
    3,
)  # NXM_NX_IP_FRAG
# OXM header in NXM's numbering -> the same field's header in OXM's numbering, for the fields that rules move.
_NEWER = {
    bytes.fromhex(nxm): bytes.fromhex(oxm)
    for nxm, oxm in (
        ("00000206", "80000606"), ("00000406", "80000806"),  # eth_dst, eth_src
        ("00012206", "80003006"), ("00012406", "80003206"),  # arp_sha, arp_tha
        ("00002004", "80002c04"), ("00002204", "80002e04"),  # arp_spa, arp_tpa
        ("00000e04", "80001604"), ("00001004", "80001804"),  # ipv4_src, ipv4_dst
        ("00012610", "80003410"), ("00012810", "80003610"),  # ipv6_src, ipv6_dst
    )
}  # fmt: skip
_KINDS = frozenset({OWNER << 4 | CookieKind.STATIC, OWNER << 4 | CookieKind.HOST})

HeldKey = tuple[int, int, bytes]  # table, priority, match: these identify a rule in a switch
RuleForm = tuple[int, int, int, bytes]  # cookie, idle and hard time-out, instructions


class HeldRules:
    """The static and host rules of one switch, as the switch reported them."""

    def __init__(self) -> None:
        self._held: dict[HeldKey, RuleForm] = {}
        self._matches: dict[HeldKey, bytes] = {}  # each match as the switch reported it
        self._epochs: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def epoch(self) -> int | None:
        """The epoch of most rules; None where there are none."""
        return self._epochs.most_common(1)[0][0] if self._epochs else None

    def take(self, body: bytes) -> None:
        """Take some whole ofp_flow_stats. Raises MalformedMessage."""
        at = 0
        while at < len(body):
            if len(body) - at < _MATCH_AT + 4:
                raise MalformedMessage(MessageFault.TRUNCATED)
            length, table, priority, idle, hard, _, cookie = _STATS(body, at)
            if not _MATCH_AT + 4 <= length <= len(body) - at:
                raise MalformedMessage(MessageFault.BAD_LENGTH)
            if cookie >> 52 in _KINDS:
                size = _padded(body, at + _MATCH_AT, length - _MATCH_AT)
                match = body[at + _MATCH_AT : at + _MATCH_AT + size]
                key = (table, priority, _sorted_match(match))
                self._held[key] = (
                    cookie,
                    idle,
                    hard,
                    _sorted_instructions(body[at + _MATCH_AT + size : at + length]),
                )
                self._matches[key] = match
                self._epochs[(cookie & EPOCH_MASK) >> 32] += 1
            at += length

    def missing(self, rules: Iterable[Rule]) -> tuple[Rule, ...]:
        """Those of `rules` that the switch does not hold in the same form. All of `rules` count as wanted from now on:
        `rest` does not delete them."""
        missing = []
        for rule in rules:
            key, form = _parts_of(flow_mod(rule))
            self._matches.pop(key, None)
            if self._held.get(key) != form:
                missing.append(rule)
        return tuple(missing)

    def rest(self) -> list[bytes]:
        """Messages that delete the held rules that `missing` was never given. Forgets all rules."""
        rest = [_delete(table, priority, match) for (table, priority, _), match in self._matches.items()]
        self._matches.clear()
        return rest


def _parts_of(message: bytes) -> tuple[HeldKey, RuleForm]:
    """Key and form of the rule in a flow-mod of this controller."""
    cookie, table, _, idle, hard, priority, _ = _MOD(message, 0)
    size = _padded(message, _MATCH_AT, len(message) - _MATCH_AT)
    match, rest = message[_MATCH_AT : _MATCH_AT + size], message[_MATCH_AT + size :]
    return (table, priority, _sorted_match(match)), (cookie, idle, hard, _sorted_instructions(rest))


def _padded(data: bytes, at: int, room: int) -> int:
    """Length in bytes of the ofp_match at `at`, with its padding. Raises MalformedMessage."""
    kind, length = _PAIR(data, at)
    size: int = -(-length // 8) * 8
    if kind != 1 or length < 4 or size > room:
        raise MalformedMessage(MessageFault.BAD_LENGTH)
    return size


def _sorted_match(match: bytes) -> bytes:
    """The fields in sorted order. Raises MalformedMessage."""
    (_, length), at, fields = _PAIR(match, 0), 4, []
    while at < length:
        if length - at < 4 or (size := 4 + match[at + 3]) > length - at:
            raise MalformedMessage(MessageFault.BAD_LENGTH)
        one = match[at : at + size]
        # The field has two bits. A mask of both bits means no mask, and Open vSwitch reports it without mask.
        if size == 6 and one[:4] == _MASKED_FRAG and one[5] == _FRAG_BITS:
            one = _EXACT_FRAG + one[4:5]
        fields.append(one)
        at += size
    return b"".join(sorted(fields))


def _sorted_instructions(data: bytes) -> bytes:
    """Each instruction whole, in sorted order. Raises MalformedMessage."""
    found = []
    for one in _parts(data):
        is_apply = len(one) >= 8 and _PAIR(one, 0)[0] == _APPLY
        found.append(one[:2] + b"".join(map(_action, _parts(one[8:]))) if is_apply else one)
    return b"".join(sorted(found))


def _parts(data: bytes) -> Iterator[bytes]:
    """The single instructions or actions in `data`: in each, the length follows the type. Raises MalformedMessage."""
    at = 0
    while at < len(data):
        if len(data) - at < 8 or not 8 <= (size := _PAIR(data, at)[1]) <= len(data) - at:
            raise MalformedMessage(MessageFault.BAD_LENGTH)
        yield data[at : at + size]
        at += size


def _action(action: bytes) -> bytes:
    """An action in a form that can be compared. Open vSwitch reports moved fields with NXM's numbers. From a copy to the
    controller it omits properties with their default values, and pads inside of properties."""
    if action[:2] != _EXPERIMENTER or len(action) < _NICIRA_HEAD:
        return action
    if action[4:10] == CONTROLLER_HEAD:
        return _to_controller(action)
    if action[4:10] == _MOVE_HEAD and len(action) == _MOVE_LENGTH:
        return action[:16] + b"".join(_NEWER.get(name, name) for name in (action[16:20], action[20:24]))
    return action


def _to_controller(action: bytes) -> bytes:
    properties = {_MAX_LENGTH: b"\xff\xff\0\0"}
    at = _NICIRA_HEAD
    while len(action) - at >= 8:
        kind, length = _PAIR(action, at)
        if length < 4:
            raise MalformedMessage(MessageFault.BAD_LENGTH)
        size = -(-length // 8) * 8
        properties[kind] = action[at + 4 : at + size]
        at += size
    return CONTROLLER_HEAD + b"".join(
        kind.to_bytes(2, "big") + told for kind, told in sorted(properties.items())
    )


def _delete(table: int, priority: int, match: bytes) -> bytes:
    body = _DELETE_BODY.pack(0, 0, table, _DELETE_STRICT, 0, 0, priority, NO_BUFFER, _ANY, _ANY, 0)
    return message(_FLOW_MOD, 0, body + match)
