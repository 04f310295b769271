"""Real frames through a real Open vSwitch: the virtual gateways' answers, copies under a meter, releases."""

import time
from collections.abc import Iterator
from ipaddress import ip_address
from struct import pack, unpack_from

import pytest

from steering.core.forwarding import host_rule, label_rules
from steering.core.guard import GuardedPort, guard_rules
from steering.core.messages import NATURAL, Release
from steering.core.sessionrule import session_rule
from steering.model.network import PortRole
from steering.model.rules import (
    IN_PORT,
    VIRTUAL_MAC,
    WAYPOINT_MASK,
    DecTtl,
    Meter,
    MeterBand,
    Output,
    PacketClass,
    SetField,
    Table,
    ToController,
    UnwildcardFlow,
    label_mac,
    static_cookie,
)
from steering.model.session import Entry, pack_cookie
from steering.openflow.encode import delete_by_cookie, flow_mod, meter_mod
from steering.openflow.packetin import parse_packet_in
from steering.openflow.templates import entry_add, release
from tests.fakes.flowtable import FakeFlowTable
from tests.fakes.packet import packet_of
from tests.integration.ovs import Switch, switch
from tests.unit.openflow.forms import ROLE, made
