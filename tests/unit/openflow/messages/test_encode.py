"""What encode.py makes is what os-ken makes of the same rule, and what os-ken reads as that rule."""

import struct

import pytest
from os_ken.ofproto import ofproto_v1_3 as proto
from os_ken.ofproto import ofproto_v1_3_parser as parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from steering.model.rules import (
    Bucket,
    DecTtl,
    FailoverGroup,
    GroupAction,
    MeterBand,
    Move,
    OutputAction,
    Resubmit,
    Rule,
    SetBits,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
)
from steering.openflow.messages import encode
from steering.openflow.messages.actions import UNWILDCARD_FLOW
from steering.openflow.messages.errors import EncodeError
from tests.support.openflow_forms import every_form, made

OVS_ONLY = {
    "nw_ttl",
    "ip_frag",
    "nd_options_type",
    "nd_reserved",
}  # os-ken does not know them, or sorts them wrongly
FORMS = every_form()


def _action(record):
    match record:
        case SetField(name, value):
            return parser.OFPActionSetField(**{name: value})
        case Move(source, target, bits):
            return parser.NXActionRegMove(source, target, bits)
        case SetBits(name, start, bits, value):
            return parser.NXActionRegLoad(start << 6 | bits - 1, name, value)
        case GroupAction(group):
            return parser.OFPActionGroup(group)
        case OutputAction(port):
            return parser.OFPActionOutput(port, 0)
        case Resubmit(table):
            return parser.NXActionResubmitTable(0xFFF8, table)
        case DecTtl():
            return parser.OFPActionDecNwTtl()
        case UnwildcardFlow():
            return parser.NXActionMultipath(1, 0, 0, 0, 0, 15, "reg0")
        case ToController():
            # os-ken's NXActionController2 has no meter: the body by hand
            properties = struct.pack("!HHH2xHHI", 0, 6, record.max_len, 5, 8, record.meter)
            return parser.OFPActionExperimenterUnknown(0x2320, struct.pack("!H6x", 37) + properties)
    raise AssertionError(record)


def _os_ken(rule: Rule, command: int) -> bytes:
    """The rule as os-ken serialises it."""
    instructions = []
    if command == proto.OFPFC_ADD:
        if rule.actions:
            actions = [_action(record) for record in rule.actions]
            instructions.append(parser.OFPInstructionActions(proto.OFPIT_APPLY_ACTIONS, actions))
        if rule.metadata:
            instructions.append(parser.OFPInstructionWriteMetadata(*rule.metadata))
        if rule.goto is not None:
            instructions.append(parser.OFPInstructionGotoTable(rule.goto))
    flow_mod = parser.OFPFlowMod(
        ProtocolDesc(version=4), cookie=rule.cookie if command == proto.OFPFC_ADD else 0, table_id=rule.table,
        command=command, priority=rule.priority, hard_timeout=rule.hard_timeout if command == proto.OFPFC_ADD else 0, out_port=proto.OFPP_ANY, out_group=proto.OFPG_ANY,
        match=parser.OFPMatch(**dict(rule.match)), instructions=instructions,
    )  # fmt: skip
    flow_mod.xid = 0
    flow_mod.serialize()
    return bytes(flow_mod.buf)


def _fields(rule: Rule) -> set[str]:
    return {name for name, _ in rule.match} | {a.name for a in rule.actions if isinstance(a, SetField)}


@pytest.mark.parametrize("rule", [rule for rule in FORMS if not _fields(rule) & OVS_ONLY])
def test_same_bytes_as_os_ken(rule):
    assert encode.flow_mod(rule) == _os_ken(rule, proto.OFPFC_ADD)
    assert encode.flow_mod(rule, "delete_strict") == _os_ken(rule, proto.OFPFC_DELETE_STRICT)


@pytest.mark.parametrize("rule", FORMS)
def test_os_ken_reads_the_match(rule):
    message = encode.flow_mod(rule)
    assert dict(parser.OFPMatch.parser(message, 48).items()) == dict(rule.match)
    assert int.from_bytes(message[2:4], "big") == len(message) and len(message) % 8 == 0


def test_ttl_comes_after_its_prerequisite():
    """os-ken's order puts the Nicira field first, and the switch answers BAD_PREREQ."""
    message = encode.flow_mod(made(Table.GUARD, 1, nw_ttl=1, eth_type=0x0800))
    assert message.index(bytes.fromhex("80000a020800")) < message.index(bytes.fromhex("00013a0101"))


def test_multipath_action_is_what_open_vswitch_writes():
    """Read back from a rule that ovs-ofctl made of multipath(symmetric_l4,0,modulo_n,1,0,NXM_NX_REG0[0..15])."""
    assert UNWILDCARD_FLOW.hex() == "ffff002000002320000a00010000000000000000000000000000000f00010004"


def _built(message) -> bytes:
    message.xid = 0x1234
    message.serialize()
    return bytes(message.buf)


DATAPATH = ProtocolDesc(version=4)


@pytest.mark.parametrize(("command", "number"), [("add", 0), ("modify", 1)])
def test_meter(command, number):
    wanted = parser.OFPMeterMod(DATAPATH, number, 0x2 | 0x4, 0x1_0007, [parser.OFPMeterBandDrop(2000, 200)])
    assert encode.meter_mod(MeterBand(0x1_0007, 2000, 200), command, 0x1234) == _built(wanted)


GROUP = FailoverGroup(
    0x5347_0002,
    (
        Bucket(2, (OutputAction(2),)),
        Bucket(1, (SetBits("eth_dst", 24, 16, 0x1234), SetBits("in_port", 0, 32, 0), OutputAction(1))),
    ),
)


@pytest.mark.parametrize(("command", "number"), [("add", 0), ("modify", 1), ("delete", 2)])
def test_group(command, number):
    buckets = [
        parser.OFPBucket(0, bucket.watch, proto.OFPG_ANY, [_action(one) for one in bucket.actions])
        for bucket in GROUP.buckets
    ]
    wanted = parser.OFPGroupMod(
        DATAPATH, number, proto.OFPGT_FF, GROUP.group, buckets if command != "delete" else []
    )
    assert encode.group_mod(GROUP, command, 0x1234) == _built(wanted)


def test_a_rule_may_lead_to_a_group():
    rule = made(Table.LABEL, 1000, GroupAction(GROUP.group), eth_dst="02:53:54:00:07:00")
    assert encode.flow_mod(rule) == _os_ken(rule, proto.OFPFC_ADD)


def test_group_descriptions_request():
    wanted = parser.OFPGroupDescStatsRequest(DATAPATH, 0)
    assert encode.group_descriptions_request(0x1234) == _built(wanted)


def test_barrier():
    assert encode.barrier_request(0x1234) == _built(parser.OFPBarrierRequest(DATAPATH))


def test_delete_by_cookie():
    wanted = parser.OFPFlowMod(
        DATAPATH, cookie=0x5E20 << 48, cookie_mask=0xFFF0 << 48, table_id=0xFF, command=proto.OFPFC_DELETE,
        priority=0, out_port=proto.OFPP_ANY, out_group=proto.OFPG_ANY, match=parser.OFPMatch(),
    )  # fmt: skip
    assert encode.delete_by_cookie(0x5E20 << 48, 0xFFF0 << 48, xid=0x1234) == _built(wanted)


def test_flow_stats_request():
    wanted = parser.OFPFlowStatsRequest(
        DATAPATH,
        0,
        Table.SESSION,
        proto.OFPP_ANY,
        proto.OFPG_ANY,
        0x5E10 << 48,
        0xFFF0 << 48,
        parser.OFPMatch(),
    )
    assert encode.flow_stats_request(0x1234, Table.SESSION, 0x5E10 << 48, 0xFFF0 << 48) == _built(wanted)


@pytest.mark.parametrize(
    "rule",
    [
        made(Table.GUARD, 1, no_such_field=1),
        made(Table.GUARD, 1, SetField("no_such_field", 1)),
        made(Table.GUARD, 1, eth_type=0x1_0000),
        made(Table.GUARD, 1, in_port=-1),
        made(Table.GUARD, 1, in_port="1"),
        made(Table.GUARD, 1, eth_dst="02:53:54:00:00"),
        made(Table.GUARD, 1, eth_dst="0253:54:00:00:00"),
        made(Table.GUARD, 1, eth_type=0x0800, ipv4_dst="fd00::1"),
        made(Table.GUARD, 1, eth_type=0x86DD, ipv6_dst="10.0.0.1"),
        made(Table.GUARD, 1, eth_type=0x0800, ipv4_dst=("10.0.0.1", "255.255.255.0")),
        made(Table.GUARD, 1, metadata=(0x10000, 0xFFFF)),
        made(Table.LABEL, 1, goto=Table.LABEL),
        made(Table.GUARD, 1, ToController(0)),
        made(Table.GUARD, 1, SetBits("eth_dst", 40, 16, 1)),
        made(Table.GUARD, 1, SetBits("eth_dst", -1, 8, 1)),
        made(Table.GUARD, 1, SetBits("eth_dst", 0, 8, 256)),
        made(Table.GUARD, 1, Move("eth_src", "ipv4_dst", 48)),
        made(Table.GUARD, 1, Move("eth_src", "eth_dst", 32)),
        Rule(Table.GUARD, 1, (("in_port", 1), ("in_port", 2))),
        Rule(Table.GUARD, 1, (), ("drop",)),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_what_openflow_cannot_say_is_an_error(rule):
    with pytest.raises(EncodeError):
        encode.flow_mod(rule)
