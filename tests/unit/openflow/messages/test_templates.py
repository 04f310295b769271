"""Templates against the reference encoder and os-ken."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_ken.ofproto import ofproto_v1_3_parser as parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from steering.core.outputs import ANEW, NATURAL, Release
from steering.model.rules import ROLE_MASK, Table, label_mac
from steering.model.session_rule import session_rule
from steering.openflow.messages.encode import flow_mod
from steering.openflow.messages.templates import entry_add, entry_delete, release
from tests.support.openflow_forms import ENTRIES, SOME_ENTRIES


@given(ENTRIES)
def test_added_entry_is_the_reference_rule(entry):
    assert entry_add(entry) == flow_mod(session_rule(entry))


@given(ENTRIES)
def test_deleted_entry_is_the_reference_rule_with_an_exact_cookie(entry):
    deleted, plain = entry_delete(entry), flow_mod(session_rule(entry), "delete_strict")
    assert deleted[8:24] == entry.cookie.to_bytes(8, "big") + b"\xff" * 8
    assert deleted[:8] + deleted[24:] == plain[:8] + plain[24:]


@pytest.mark.parametrize("entry", SOME_ENTRIES)
def test_os_ken_reads_the_entry(entry):
    message = entry_add(entry)
    read = parser.OFPFlowMod.parser(ProtocolDesc(version=4), 4, 14, len(message), 0, message)
    assert (read.cookie, read.table_id, read.priority) == (entry.cookie, Table.SESSION, 40000)
    assert (read.idle_timeout, read.hard_timeout, read.command) == (0, 0, 0)
    assert dict(read.match.items()) == dict(session_rule(entry).match)
    assert read.match["metadata"] == (entry.role << 16, ROLE_MASK)
    apply, goto = read.instructions
    assert [type(a).__name__ for a in apply.actions] == ["OFPActionSetField", "OFPActionDecNwTtl"]
    assert apply.actions[0].value == label_mac(entry.waypoint, entry.path)
    assert goto.table_id == Table.LABEL


def _packet_out(message: bytes):
    """(in_port, actions, frame) as os-ken reads them."""
    version, kind, length, _, buffer, in_port, size = struct.unpack_from("!BBHIIIH", message)
    assert (version, kind, length, buffer) == (4, 13, len(message), 0xFFFFFFFF)
    actions, at = [], 24
    while at < 24 + size:
        action = parser.OFPAction.parser(message, at)
        actions.append(action)
        at += action.len
    return in_port, actions, message[at:]


@given(st.binary(max_size=1600), st.integers(0, 0xFFFF), st.integers(0, 255))
def test_steered_release(frame, waypoint, path):
    in_port, (label, ttl, again), rest = _packet_out(release(Release(1, 7, frame, waypoint, path, 1)))
    assert (in_port, rest) == (7, frame)
    assert (label.key, label.value) == ("eth_dst", label_mac(waypoint, path))
    assert isinstance(ttl, parser.OFPActionDecNwTtl)
    assert (again.in_port, again.table_id) == (0xFFF8, Table.LABEL)


@given(st.binary(max_size=1600))
def test_release_anew(frame):
    in_port, (again,), rest = _packet_out(release(Release(1, 7, frame, ANEW, 0, 0)))
    assert (in_port, rest, again.in_port, again.table_id) == (7, frame, 0xFFF8, Table.GUARD)


@given(st.binary(max_size=1600), st.integers(0, 15))
def test_natural_release(frame, role):
    in_port, (metadata, again), rest = _packet_out(release(Release(1, 0xFFFF_FF00, frame, NATURAL, 0, role)))
    assert (in_port, rest) == (0xFFFF_FF00, frame)
    assert (metadata.key, metadata.value) == ("metadata", role << 16)
    assert (again.in_port, again.table_id) == (0xFFF8, Table.ROUTE)
