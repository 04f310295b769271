"""Actions of model rules -> bytes: OpenFlow 1.3 (7.2.5) and Open vSwitch's Nicira extensions."""

from struct import Struct

from steering.model import rules
from steering.model.rules import (
    DecTtl,
    GroupAction,
    Move,
    OutputAction,
    PopVlan,
    PushVlan,
    Resubmit,
    SetBits,
    SetField,
    ToController,
    UnwildcardFlow,
)

from .errors import EncodeError
from .fields import field, oxm

NICIRA = 0x2320
_OUTPUT, _PUSH_VLAN, _POP_VLAN, _GROUP = 0, 17, 18, 22
_SET_NW_TTL_DEC, _SET_FIELD, _EXPERIMENTER = 24, 25, 0xFFFF
_REG_MOVE, _REG_LOAD, _MULTIPATH, _RESUBMIT_TABLE, _CONTROLLER2 = 6, 7, 10, 14, 37
_IN_PORT_16 = 0xFFF8  # OFPP_IN_PORT in OpenFlow 1.0 width: "keep the packet's own ingress port"
_SYMMETRIC_L4 = 1
_REG0 = 0x0001_0004  # NXM_NX_REG0; nothing reads it
_PROPERTY_MAX_LEN, _PROPERTY_METER = 0, 5

_HEADER = Struct("!HH")
_OUTPUT_BODY = Struct("!HHIH6x")
_GROUP_BODY = Struct("!HHI")
_LOAD_BODY = Struct("!HHIHHIQ")
_PUSH_BODY = Struct("!HHH2x")
_MOVE_BODY = Struct("!HHIHHHHII")
_RESUBMIT_BODY = Struct("!HHIHHB3x")
_MULTIPATH_BODY = Struct("!HHIHHH2xHHI2xHI")
_CONTROLLER_BODY = Struct("!HHIH6xHHH2xHHI")

CONTROLLER_HEAD = Struct("!IH").pack(NICIRA, _CONTROLLER2)  # behind an action's type and length
DEC_TTL = Struct("!HH4x").pack(_SET_NW_TTL_DEC, 8)

# A hash over the whole 5-tuple into one bucket: its result means nothing, but computing it makes the
# datapath's cache key hold every field that was hashed (docs/design/measured.rst).
UNWILDCARD_FLOW = _MULTIPATH_BODY.pack(
    _EXPERIMENTER, _MULTIPATH_BODY.size, NICIRA, _MULTIPATH, _SYMMETRIC_L4, 0, 0, 0, 0, 15, _REG0
)


def set_field(name: str, value: str | int) -> bytes:
    """OFPAT_SET_FIELD, padded to 8 bytes."""
    tlv = oxm(name, value)
    length = 4 + len(tlv) + -(4 + len(tlv)) % 8
    return (_HEADER.pack(_SET_FIELD, length) + tlv).ljust(length, b"\0")


def set_bits(action: SetBits) -> bytes:
    """NXAST_REG_LOAD: sets part of a field, or a field that OFPAT_SET_FIELD may not set, such as the ingress port."""
    known = field(action.name)
    if not (0 < action.bits <= 64 and 0 <= action.start <= 8 * known.size - action.bits):
        raise EncodeError(f"{action.name} has no {action.bits} bits from bit {action.start} on")
    if action.value >> action.bits:
        raise EncodeError(f"{action.value} does not fit in {action.bits} bits")
    place = action.start << 6 | action.bits - 1
    return _LOAD_BODY.pack(_EXPERIMENTER, 24, NICIRA, _REG_LOAD, place, known.header(), action.value)


def move(action: Move) -> bytes:
    """NXAST_REG_MOVE of a whole field."""
    source, target = field(action.source), field(action.target)
    if not source.size == target.size == action.bits / 8:
        raise EncodeError(f"move of {action.bits} bits from {action.source} to {action.target}: sizes differ")
    return _MOVE_BODY.pack(
        _EXPERIMENTER, 24, NICIRA, _REG_MOVE, action.bits, 0, 0, source.header(), target.header()
    )


def to_controller(action: ToController) -> bytes:
    """NXAST_CONTROLLER2. The meter is part of the action, so it does not count packets that are only forwarded."""
    if not action.meter:
        raise EncodeError("a copy to the controller needs a meter")
    size = _CONTROLLER_BODY.size
    limit, meter = (_PROPERTY_MAX_LEN, 6, action.max_len), (_PROPERTY_METER, 8, action.meter)
    return _CONTROLLER_BODY.pack(_EXPERIMENTER, size, NICIRA, _CONTROLLER2, *limit, *meter)


def resubmit(table: int) -> bytes:
    """NXAST_RESUBMIT_TABLE with the ingress port as it is."""
    return _RESUBMIT_BODY.pack(_EXPERIMENTER, 16, NICIRA, _RESUBMIT_TABLE, _IN_PORT_16, table)


def action(record: rules.RuleAction) -> bytes:
    """One action as bytes. Raises EncodeError for a field or value that has no OpenFlow form."""
    match record:
        case SetField(name, value):
            return set_field(name, value)
        case SetBits():
            return set_bits(record)
        case Move():
            return move(record)
        case OutputAction(port):
            return _OUTPUT_BODY.pack(_OUTPUT, 16, port, 0)
        case GroupAction(group):
            return _GROUP_BODY.pack(_GROUP, 8, group)
        case ToController():
            return to_controller(record)
        case DecTtl():
            return DEC_TTL
        case Resubmit(table):
            return resubmit(table)
        case UnwildcardFlow():
            return UNWILDCARD_FLOW
        case PushVlan(ethertype):
            return _PUSH_BODY.pack(_PUSH_VLAN, 8, ethertype)
        case PopVlan():
            return _PUSH_BODY.pack(_POP_VLAN, 8, 0)
    raise EncodeError(f"unknown action {record!r}")
