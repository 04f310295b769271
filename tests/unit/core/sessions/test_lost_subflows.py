"""A WLAN that comes and goes all day is always joined again: what tells that a subflow's host is gone, and what does not."""

from dataclasses import replace

import pytest

from steering.core.counters import JoinResult
from steering.core.inputs import CopiesLost, FinSeen, ObservedEntry, PortStatus, SweepRead, SwitchDown, Tick
from steering.core.network.address_claims import PATIENCE
from steering.core.outputs import RemoveEntries
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.lost_subflows import SILENT_SWEEPS, LostSubflows
from steering.core.sessions.records import TAKEN_UP_WITHIN
from steering.model.ids import DatapathId
from steering.model.network import PortRef
from steering.model.policy import Limits, Policy
from steering.model.rules import Meter
from steering.wire.segment import Flags
from tests.support.full_session import (
    LINGER,
    POLICY,
    SILENT,
    asks,
    at_port,
    full,
    joined,
    mcp_closes,
    silent_for,
    wlan,
)
from tests.support.sites import FIN, UE_WLAN, Driver, answer, join, off_path_site, refused
from tests.support.swept_subflows import moved, ports


def test_one_that_its_mcp_closed_gives_its_slot_when_a_sweep_finds_its_host_silent() -> None:
    driver = full()
    mcp_closes(driver, 50_001)
    driver.now += LINGER
    assert refused(joined(driver, 50_003, number=7)), "its counters were not read since"
    silent_for(driver, 1.0, 40_000, 50_001, 50_002)  # the host acknowledges the FIN
    driver.now += LINGER
    assert refused(joined(driver, 50_003, number=7))
    silent_for(driver, 1.0, 40_000, 50_002)
    assert joined(driver, 50_003, number=7) and ports(driver) == [40_000, 50_002, 50_003]


def test_an_upload_whose_mcp_has_closed_its_half_keeps_its_slot() -> None:
    """Not every MCP waits with the FIN of a subflow until both ends of its session have said that they are done."""
    driver = full("10.2.0.50")
    mcp_closes(driver, 50_001, "10.2.0.50")
    driver.now += LINGER
    assert refused(joined(driver, 50_003, "10.2.0.66"))
    mcp_closes(driver, 50_002, "10.2.0.50")
    driver.now += LINGER
    assert asks(joined(driver, 50_003, "10.2.0.66"), "10.2.0.50")
    at_port(driver, "10.2.0.50")  # it answers
    for _ in range(2 * SILENT_SWEEPS):
        silent_for(driver, POLICY.timers.sweep, 40_000, 50_001, 50_002)
        driver.now += LINGER
        joined(driver, 50_003, "10.2.0.66")
        at_port(driver, "10.2.0.50")  # it may have been asked again
    assert ports(driver) == [40_000, 50_001, 50_002]


def test_one_that_its_mcp_closed_gives_its_slot_at_once_when_its_host_is_gone_or_joins_again() -> None:
    driver = full("10.2.0.50")
    for port in (50_001, 50_002):
        mcp_closes(driver, port, "10.2.0.50")
    driver.now += LINGER
    assert asks(joined(driver, 50_003, "10.2.0.66"), "10.2.0.50")
    for _ in range(10):
        driver.later(0.1)
    assert joined(driver, 50_003, "10.2.0.66") and ports(driver) == [40_000, 50_002, 50_003]
    driver = full()
    mcp_closes(driver, 50_001)
    driver.now += LINGER
    assert refused(joined(driver, 50_003)), "50002 has this id, too, and lives"
    mcp_closes(driver, 50_002)
    driver.now += LINGER - 0.1
    assert refused(joined(driver, 50_003))
    driver.now += 0.1
    assert joined(driver, 50_003) and ports(driver) == [40_000, 50_002, 50_003]


def test_the_end_of_an_mcp_counts_from_when_it_was_seen() -> None:
    driver = full()
    driver.now += 100.0
    mcp_closes(driver, 50_001)
    assert refused(joined(driver, 50_003)) and ports(driver) == [40_000, 50_001, 50_002]


@pytest.mark.parametrize("dropped", [False, True])
def test_one_whose_answer_may_have_been_dropped_by_a_meter_keeps_its_slot_until_a_sweep(
    dropped: bool,
) -> None:
    driver = Driver(policy=POLICY)
    at_port(driver)
    session = driver.session()
    joined(driver, 50_001)
    driver.syn(2, 1, join(UE_WLAN, 50_002, address_id=1))  # its MCP answers, which is not seen
    if dropped:
        wlan_ = [one.name for one in driver.site.access_networks].index("wlan")
        place = driver.engine.map.inside[session.mcp].port
        driver.give(CopiesLost(place.dpid, ((Meter.SYN_ACK_BASE + wlan_, 9),)))
    driver.later(TAKEN_UP_WITHIN)
    again = joined(driver, 50_003)
    assert ports(driver)[1:] == ([50_001, 50_002] if dropped else [50_001, 50_003])
    if dropped:
        assert refused(again)
        (subflow,) = [one for one in session.subflows if one.flow.source_port == 50_002]
        entry = session.entry(subflow)
        assert entry is not None
        driver.give(SweepRead(2, [ObservedEntry(entry, 0, 0)], True, True, driver.now))
        joined(driver, 50_003)
        assert ports(driver)[1:] == [50_001, 50_003]


@pytest.mark.parametrize("is_back", [False, True])
def test_one_whose_mcps_switch_was_away_keeps_its_slot(is_back: bool) -> None:
    """The switch goes on forwarding, so the MCP has the join and answers it, and nobody shows that."""
    driver = Driver(policy=POLICY)
    at_port(driver)
    session = driver.session()
    joined(driver, 50_001)
    place = driver.engine.map.inside[session.mcp].port
    driver.give(SwitchDown(place.dpid))
    driver.syn(2, 1, join(UE_WLAN, 50_002, address_id=1))
    driver.now += 0.1
    if is_back:
        driver.up(place.dpid)
    driver.now += TAKEN_UP_WITHIN
    assert refused(joined(driver, 50_003)) and ports(driver) == [40_000, 50_001, 50_002]


def test_one_whose_port_has_no_carrier_gives_its_slot() -> None:
    driver = Driver(policy=POLICY)
    driver.session()
    for port in (50_001, 50_002):
        joined(driver, port)
    wlan(driver, False)
    outputs = driver.syn(1, 1, join("10.1.0.2", 50_003, address_id=2))
    (removed,) = [o for o in outputs if isinstance(o, RemoveEntries)]
    assert [entry.sport for entry in removed.entries] == [50_001]
    assert ports(driver) == [40_000, 50_002, 50_003]


@pytest.mark.parametrize("other_is_up", [False, True])
def test_from_beyond_a_gateway_each_of_its_ports_at_the_switch_counts(other_is_up: bool) -> None:
    site = off_path_site()
    (gateway,) = site.gateways
    two = replace(gateway, ports=(PortRef(4, 1), PortRef(4, 9)))
    policy = Policy(limits=Limits(subflows_per_session=2), third_party_pooling=True)
    driver = Driver(replace(site, gateways=(two,)), policy)
    driver.session()
    driver.syn(4, 1, join("192.0.2.7", 50_001, address_id=3))
    moved(driver, 40_000, 50_001)
    driver.give(PortStatus(4, 1, False))
    driver.give(PortStatus(4, 9, other_is_up))
    driver.syn(1, 1, join("10.1.0.2", 50_002, address_id=4))
    assert ports(driver) == [40_000, 50_001 if other_is_up else 50_002]


def test_one_whose_port_has_carrier_again_keeps_it() -> None:
    driver = full()
    wlan(driver, False)
    wlan(driver, True)
    assert refused(driver.syn(1, 1, join("10.1.0.2", 50_003, address_id=2)))


@pytest.mark.parametrize("address", [UE_WLAN, "fd00:2::2"])
def test_a_host_that_joins_again_from_where_it_was_replaces_what_fell_silent_there(address: str) -> None:
    server = {} if "." in address else {"dst": "fd00:9::2"}
    driver = Driver(policy=POLICY)
    driver.session()
    for port in (50_001, 50_002):
        driver.syn(2, 1, join(address, port, address_id=port - 50_000, **server))
        (session,) = driver.table
        place = driver.engine.map.inside[session.mcp].port
        driver.syn_ack(place.dpid, place.port, answer(join(address, port, **server), b""))
    again = join(address, 50_003, address_id=1, **server)
    moved(driver, 40_000, 50_001, 50_002)
    silent_for(driver, SILENT - 1.0, 40_000, 50_002)
    assert refused(driver.syn(2, 1, again)) and 50_001 in ports(driver)
    silent_for(driver, 1.0, 40_000, 50_002)
    driver.syn(2, 1, again)
    assert ports(driver) == [40_000, 50_002, 50_003]


def test_a_backup_with_an_id_of_its_own_stays_while_its_host_is_heard() -> None:
    driver = full(number=1)
    silent_for(driver, SILENT, 40_000, 50_002)
    assert refused(joined(driver, 50_003, number=7)) and ports(driver) == [40_000, 50_001, 50_002]


def test_a_host_that_has_several_subflows_between_two_addresses_keeps_a_silent_one() -> None:
    driver = full(number=1)
    silent_for(driver, SILENT, 40_000, 50_002)
    assert refused(joined(driver, 50_003, number=1))  # 50002 has this id, too, and lives


def test_a_join_to_the_mcps_own_address_counts_nowhere_and_is_not_taken_for_silent() -> None:
    driver = Driver(policy=POLICY)
    session = driver.session()
    own = str(driver.engine.map.mcps[session.mcp].addresses[0])
    for port in (50_001, 50_002):
        driver.syn(2, 1, join(UE_WLAN, port, dst=own, address_id=1))
    for subflow in session.subflows:
        subflow.was_heard()
    silent_for(driver, SILENT, 40_000)
    assert refused(driver.syn(2, 1, join(UE_WLAN, 50_003, dst=own, address_id=1))) and len(ports(driver)) == 3
    place = driver.engine.map.inside[session.mcp].port
    ended = answer(join(UE_WLAN, 50_001, dst=own), b"")._replace(flags=FIN)
    driver.give(FinSeen(place.dpid, place.port, ended))
    silent_for(driver, SILENT, 40_000)
    other = join(UE_WLAN, 50_003, dst=own, address_id=7)
    assert refused(driver.syn(2, 1, other)), "nobody counts what its host still sends"


def test_one_to_the_mcps_own_address_that_its_mcp_reset_gives_its_slot_though_it_has_no_entry() -> None:
    driver = Driver(policy=POLICY)
    session = driver.session()
    place = driver.engine.map.inside[session.mcp].port
    own = str(driver.engine.map.mcps[session.mcp].addresses[0])
    for port in (50_001, 50_002):
        driver.syn(2, 1, join(UE_WLAN, port, dst=own, address_id=1))
    ended = answer(join(UE_WLAN, 50_001, dst=own), b"")._replace(flags=Flags.RST)
    driver.give(FinSeen(place.dpid, place.port, ended))
    driver.syn(2, 1, join(UE_WLAN, 50_003, dst=own, address_id=1))
    assert ports(driver) == [40_000, 50_002, 50_003]


def test_what_tells_surely_goes_before_what_only_seems_so() -> None:
    driver = full("10.2.0.50")
    mcp_closes(driver, 50_002, "10.2.0.50")
    silent_for(driver, POLICY.timers.idle, 40_000)
    joined(driver, 50_003)
    assert ports(driver) == [40_000, 50_001, 50_003]


def test_a_wlan_that_comes_and_goes_all_day_is_always_joined_again() -> None:
    """The host has another address each time, its MCP closes nothing, and the port keeps its carrier."""
    driver = Driver(policy=POLICY)
    driver.session()
    for turn in range(40):
        address = f"10.2.0.{10 + turn}"
        at_port(driver, address)
        joined(driver, 50_000 + turn, address)
        for _ in range(round(1.0 / PATIENCE * 2) + 1):
            driver.later(PATIENCE / 2)
        moved(driver, 40_000)  # nobody answers the sweeps of this driver's ticks
        if 50_000 + turn not in ports(driver):
            joined(driver, 50_000 + turn, address)  # as hosts do a second later
        assert 50_000 + turn in ports(driver) and 40_000 in ports(driver) and len(ports(driver)) <= 3
        driver.give(Tick())
        silent_for(driver, 3 * SILENT, 40_000)
    assert driver.counters.joins[JoinResult.REFUSED] == 0


@pytest.mark.parametrize("sees_all", [False, True])
def test_who_does_not_see_all_switches_judges_nothing_by_silence(sees_all: bool) -> None:
    driver = full("10.2.0.50")
    silent_for(driver, 3 * SILENT, 40_000)
    (session,) = driver.table
    new = join("10.2.0.50", 50_003, address_id=1)
    key = flow_key(new.src, new.dst, new.sport, new.dport)
    engine = driver.engine
    pieces = engine.sessions
    lost = LostSubflows(
        pieces.teardown,
        engine.neighbours,
        pieces.counted,
        lambda one: True,
        lambda: sees_all,
        lambda one: False,
    )
    assert bool(lost.free_slot(session, key, 1, driver.now)) is sees_all


def test_what_no_sweep_reads_is_not_taken_for_silent() -> None:
    """The WLAN's switch has lost its controller, and goes on forwarding: nobody counts there, and no host can be asked."""
    driver = full("10.2.0.50")
    driver.give(SwitchDown(2))
    driver.now += 3 * SILENT
    moved(driver, 40_000, switches=driver.engine.map.switches - {DatapathId(2)})
    again = join("10.1.0.2", 50_003, address_id=2)
    assert refused(driver.syn(1, 1, again)) and ports(driver) == [40_000, 50_001, 50_002]
    driver.up(2)
    assert refused(driver.syn(1, 1, again)), "its counters were not read since"
    moved(driver, 40_000)
    assert asks(driver.syn(1, 1, again), "10.2.0.50")


def test_behind_a_gateway_the_address_id_alone_tells_that_a_host_joined_again() -> None:
    driver = Driver(policy=Policy(limits=Limits(subflows_per_session=2), third_party_pooling=True))
    driver.session()
    driver.syn(4, 1, join("192.0.2.7", 50_001, address_id=3))
    moved(driver, 40_000, 50_001)
    silent_for(driver, SILENT, 40_000)
    assert refused(driver.syn(4, 1, join("192.0.2.9", 50_002, address_id=4)))
    driver.syn(4, 1, join("192.0.2.9", 50_002, address_id=3))
    assert ports(driver) == [40_000, 50_002]
