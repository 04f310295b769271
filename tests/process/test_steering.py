"""The real process against raw switches: filling, SYN, SYN/ACK, join, restart."""

import time
from pathlib import Path

from steering.model.rules import OWNER, CookieKind, PacketClass, Table
from steering.model.session import unpack_cookie
from tests.process.network import TOKEN, Network, is_session_entry
from tests.support.controller_process import LINKS, SITE, Running
from tests.support.fakes.rawswitch import (
    BARRIER_REQUEST,
    FLOW_MOD,
    METER_MOD,
    PACKET_OUT,
    RawSwitch,
    read_flow_mod,
    read_packet_out,
)
from tests.support.waiting import wait_for


def test_filling_goes_in_stages_with_barriers_between(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        told = [s for s in network.switches[1].seen if s.type in (FLOW_MOD, METER_MOD, BARRIER_REQUEST)]
    seen = [s for s in told if not s.is_leased]  # leases are renewed all the time
    stages: list[set[int]] = [set()]
    for one in seen:
        if one.type == BARRIER_REQUEST:
            stages.append(set())
        else:
            stages[-1].add(-1 if one.type == METER_MOD else read_flow_mod(one.data).table)
    assert stages[0] == {-1}, "meters come first: rules refer to them"
    places = {table: [n for n, stage in enumerate(stages) if table in stage] for table in Table}
    assert max(places[Table.LABEL] + places[Table.HOST]) < min(
        places[Table.GUARD] + places[Table.CLASSIFY] + places[Table.ROUTE]
    )
    assert stages[-1] == set(), "the last thing is a barrier"


def test_a_syn_is_released_only_after_the_other_switches_confirmed(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        home, gateway = network.switches[1], network.switches[4]
        gateway.answers_barriers = False
        frame = network.syn()
        far = gateway.wait_for(is_session_entry)
        barrier = gateway.wait_for(lambda s: s.type == BARRIER_REQUEST, since=far.order)
        # The controller is given time to make the mistake, less than it waits for the confirmation itself.
        network.running.json("/v1/health")
        time.sleep(0.3)
        assert not network.released(1) and not network.session_entries(1)
        gateway.release_barriers()

        def is_late() -> bool:
            return network.running.metric("steering_refusals_total", reason="barrier-timeout") > 0

        wait_for(lambda: network.released(1) or is_late())
        if is_late():
            network.punt(1, 1, frame, PacketClass.SYN)  # this machine was too slow: the host tries again
        out = network.wait_for_release(1, frame)
        assert out.order > barrier.order
        local = home.wait_for(is_session_entry)
        assert local.order < out.order
        assert read_packet_out(out.data).in_port == 1
        (cookie,) = network.session_entries(1).values()
        told = unpack_cookie(cookie)
        assert told is not None and told.pending


def test_a_barrier_that_is_never_answered_costs_one_syn_and_nothing_else(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        gateway = network.switches[4]
        gateway.answers_barriers = False
        frame = network.syn()
        gateway.wait_for(is_session_entry)
        network.running.wait_for_metric("steering_refusals_total", 1, reason="barrier-timeout")
        assert not network.released(1)
        gateway.release_barriers()
        network.punt(1, 1, frame, PacketClass.SYN)  # the host tries again
        network.wait_for_release(1, frame)


def test_a_session_and_its_join_end_at_one_mcp(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        network.establish()
        late = network.join()
        network.wait_for_release(2, late)
        (first,) = network.session_entries(1).values()
        (second,) = network.session_entries(2).values()
        one, two = unpack_cookie(first), unpack_cookie(second)
        assert one is not None and two is not None
        assert one.mcp == two.mcp and one.token == two.token == int.from_bytes(TOKEN, "big")
        assert not one.pending
        (session,) = network.running.json("/v1/sessions")["sessions"]
        assert session["mcp"] == "core" and session["token"] == TOKEN.hex()
        # Both SYNs were decided, and timed; so was each that was sent again, as its barrier was late on a busy machine.
        again = network.running.metric("steering_refusals_total", reason="barrier-timeout")
        assert 2 <= network.running.metric("steering_decision_seconds_count") <= 2 + again
        assert network.running.metric("steering_flow_mods_total") > 5


def test_an_unknown_join_is_not_let_through(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        network.join()
        network.running.wait_for_metric("steering_refusals_total", 1, reason="unknown-token")
        assert not network.released(2)


def test_a_killed_controller_reads_its_sessions_back(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        network.establish()
        entries = network.session_entries(1)
        network.running.kill()
        for switch in network.switches.values():
            assert switch.ended.wait(30)
            switch.close()
        epochs = static_epochs(network)
        network.running.start()
        network.connect()  # the MCP says nothing this time: its entry was read back too
        assert network.running.metric("steering_sessions_recovered_total") == 1
        assert network.session_entries(1) == entries
        late = network.join()
        network.wait_for_release(2, late)
        (cookie,) = network.session_entries(2).values()
        told = unpack_cookie(cookie)
        assert told is not None and told.token == int.from_bytes(TOKEN, "big")
        now = static_epochs(network)
        assert len(now) == 1 and now != epochs, "rules of the earlier run are gone"


def static_epochs(network: Network) -> set[int]:
    kinds = (OWNER << 4 | CookieKind.STATIC, OWNER << 4 | CookieKind.HOST)
    return {
        cookie >> 32 & 0xFFFF
        for switch in network.switches.values()
        for cookie, _ in switch.flows.values()
        if cookie >> 52 in kinds
    }


def test_a_switch_that_lost_its_entries_is_filled_again(tmp_path: Path) -> None:
    with Network(tmp_path) as network:
        network.establish()
        home = network.switches[1]
        entries, rules = network.session_entries(1), set(home.flows)
        home.close()
        home.flows.clear()
        home.connect(network.running.port)
        home.quiet()
        assert network.session_entries(1) == entries
        assert set(home.flows) == rules


def test_a_second_connection_of_a_switch_replaces_the_first_that_answers_no_echo(tmp_path: Path) -> None:
    with Network(tmp_path) as network, RawSwitch(1, (1, 2)) as again:
        network.switches[1].answers_echo = False
        again.connect(network.running.port)
        again.quiet()
        assert network.switches[1].ended.wait(30)
        assert network.running.metric("steering_disconnects_total", reason="replaced") == 1
        assert network.running.json("/v1/health")["switches"]["connected"] == 4


def most_lines(began: float) -> float:
    """How many lines about one reason, of more things to tell, there may be since then: five in a minute."""
    return 5 * (1 + (time.monotonic() - began) // 60)


def test_a_second_connection_of_a_switch_that_answers_is_refused_and_sees_no_entry(tmp_path: Path) -> None:
    with Network(tmp_path) as network, RawSwitch(1, (1, 2)) as again:
        network.establish()
        began = time.monotonic()
        for _ in range(20):
            again.connect(network.running.port)
            assert again.ended.wait(30)
            assert not {seen.type for seen in again.seen} & {FLOW_MOD, PACKET_OUT, METER_MOD}
            again.close()
        assert not network.switches[1].ended.is_set(), "the live one stays"
        running = network.running
        assert running.metric("steering_disconnects_total", reason="duplicate-switch") == 20
        assert running.metric("steering_disconnects_total", reason="replaced") == 0
        assert 5 <= running.log().count("duplicate-switch") <= most_lines(began), "so many lines a minute"
        network.wait_for_release(1, network.syn(40_001))


def test_a_switch_that_the_site_does_not_name_is_told_and_not_used(tmp_path: Path) -> None:
    with Network(tmp_path) as network, RawSwitch(77, (1, 2)) as stranger:
        began = time.monotonic()
        for _ in range(20):
            stranger.connect(network.running.port)
            assert stranger.ended.wait(30)
            assert not {seen.type for seen in stranger.seen} & {FLOW_MOD, PACKET_OUT, METER_MOD}
            stranger.close()
        running = network.running
        assert running.metric("steering_disconnects_total", reason="unknown-switch") == 20
        lines = running.log().count("switch 000000000000004d at 127.0.0.1")
        assert 5 <= lines <= most_lines(began), "so many lines a minute"
        refused = [{"dpid": "000000000000004d", "reason": "unknown-switch", "times": 20}]
        assert running.json("/v1/topology")["refused"] == refused


def test_unknown_switches_are_used_where_the_site_allows_them(tmp_path: Path) -> None:
    site = SITE + LINKS + "unknown_switches: allow\n"
    with Running(tmp_path, site) as running, RawSwitch(77, (1, 2)) as stranger:
        stranger.connect(running.port).quiet()
        assert running.json("/v1/health")["switches"]["connected"] == 1
