"""Discovery by the real process, port status, and the watch over silent connections."""

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from steering.model.rules import OWNER, CookieKind, PacketClass, Table
from tests.support.controller_process import LINKS, SITE, Running
from tests.support.fakes.rawswitch import ECHO_REQUEST, PACKET_OUT, RawSwitch, read_packet_out
from tests.support.rest_calls import ask
from tests.support.waiting import wait_for

LLDP = OWNER << 56 | CookieKind.STATIC << 52 | PacketClass.LLDP
LINK = ((1, 2), (3, 2))
HOLD_S = 3.0  # of steering.openflow.discovery.link_discovery


class Wires:
    """Carries discovery frames over the links of the site, as wires would."""

    def __init__(
        self, switches: dict[int, RawSwitch], ends: list[tuple[tuple[int, int], tuple[int, int]]]
    ) -> None:
        self.switches = switches
        self.ends = dict(ends) | {b: a for a, b in ends}
        self.at = dict.fromkeys(switches, -1)

    def carry(self) -> list[int]:
        """Deliver what was sent since the last call; the ports of s1 that something was sent to."""
        used = []
        for dpid, switch in self.switches.items():
            for seen in switch.of_type(PACKET_OUT, self.at[dpid]):
                self.at[dpid] = seen.order
                out = read_packet_out(seen.data)
                port = int.from_bytes(out.actions[4:8], "big")
                if out.frame[12:14] != b"\x88\xcc":
                    continue
                if dpid == 1:
                    used.append(port)
                far = self.ends.get((dpid, port))
                if far is not None:
                    self.switches[far[0]].packet_in(LLDP, far[1], out.frame)
        return used

    def run_until(self, what: Callable[[], object]) -> list[int]:
        """Carry until something is so; the ports of s1 that something was sent to meanwhile."""
        used: list[int] = []

        def carried() -> object:
            used.extend(self.carry())
            return what()

        wait_for(carried)
        return used


def links(running: Running) -> set[tuple[str, str]]:
    return {(link["a"], link["b"]) for link in running.json("/v1/topology")["links"]}


def test_links_are_discovered_lost_with_their_port_and_held_down(tmp_path: Path) -> None:
    with Running(tmp_path, SITE) as running, RawSwitch(1) as one, RawSwitch(3, (1, 2, 3)) as three:
        for switch in (one, three):
            switch.connect(running.port).quiet()
        wires = Wires({1: one, 3: three}, [LINK])
        # Both directions: one that is seen for the first time was not lost, and counts at once.
        used = wires.run_until(lambda: len(links(running)) == 2)
        assert set(used) == {2}, "port 1 is an attachment: nothing is announced to hosts"
        assert links(running) == {("s1:2", "s3:2"), ("s3:2", "s1:2")}
        one.port_status(2, False)
        wait_for(lambda: not links(running))
        back = time.monotonic()
        one.port_status(2, True)
        wires.run_until(lambda: links(running))
        assert time.monotonic() - back > HOLD_S, "a link that was lost is held down"


def test_forged_and_replayed_announcements_are_counted_and_draw_no_link(tmp_path: Path) -> None:
    with Running(tmp_path, SITE) as running, RawSwitch(1) as one, RawSwitch(3, (1, 2, 3)) as three:
        for switch in (one, three):
            switch.connect(running.port).quiet()
        seen = one.wait_for(lambda s: s.type == PACKET_OUT and b"\x88\xcc" in s.data[40:56])
        frame = read_packet_out(seen.data).frame
        three.packet_in(LLDP, 2, frame[:-1] + bytes([frame[-1] ^ 1]))
        three.packet_in(LLDP, 2, frame[:60] + os.urandom(32) + frame[92:])
        three.packet_in(LLDP, 1, frame)  # a host at the MCP's port shows a frame it caught
        three.packet_in(LLDP, 2, b"\x01\x80\xc2\0\0\x0e" + bytes(6) + b"\x88\xcc" + bytes(46))
        running.wait_for_metric("steering_malformed_total", 3, reason="lldp-forged")
        running.wait_for_metric("steering_malformed_total", 1, reason="lldp-misplaced")
        assert not links(running)
        time.sleep(2.2)
        three.packet_in(LLDP, 2, frame)
        running.wait_for_metric("steering_malformed_total", 1, reason="lldp-replayed")
        assert not links(running)


def test_a_silent_switch_is_asked_and_then_given_up(tmp_path: Path) -> None:
    with Running(tmp_path) as running, RawSwitch(1) as silent, RawSwitch(2) as good, RawSwitch(3) as mute:
        silent.connect(running.port).quiet()
        good.connect(running.port).quiet()
        mute.connect(running.port, b"\x04")  # never gets through its handshake
        silent.answers_echo = False
        silent.wait_for(lambda s: s.type == ECHO_REQUEST)
        assert mute.ended.wait(60) and silent.ended.wait(60)
        assert not good.ended.is_set()
        for reason in ("silent", "handshake-timeout"):
            running.wait_for_metric("steering_disconnects_total", 1, reason=reason)
            assert running.metric("steering_disconnects_total", reason=reason) == 1


@pytest.mark.row("D-1.d")
def test_a_weight_is_in_force_when_every_switch_has_confirmed_it(tmp_path: Path) -> None:
    site = SITE + LINKS + "  - {ports: [s1:3, s4:3]}\n"
    ports = {1: (1, 2, 3), 2: (1, 2), 3: (1, 2, 3, 4), 4: (1, 2, 3)}
    with ExitStack() as opened:
        running = opened.enter_context(Running(tmp_path, site))
        switches = {dpid: opened.enter_context(RawSwitch(dpid, ports[dpid])) for dpid in ports}
        for switch in switches.values():
            switch.connect(running.port).quiet()
        switches[3].answers_barriers = False  # its way to s1 is another: by s4
        assert ask(running, "PUT", "/v1/links/s1-s3", {"weight": 10.0}, If_Match="*").status == 200
        wait_for(lambda: switches[3].held_barriers)
        assert not running.json("/v1/links")["settled"], "one switch has not confirmed"
        switches[3].release_barriers()
        wait_for(lambda: running.json("/v1/links")["settled"])


def both(running: Running, pair: set[str]) -> bool:
    return {tuple(pair), tuple(pair)[::-1]} <= links(running)


def test_a_link_with_bfd_is_down_when_its_switch_says_that_nobody_answers(tmp_path: Path) -> None:
    site = SITE + LINKS.replace("[s1:2, s3:2]", "[s1:2, s3:2], bfd: true")
    with Running(tmp_path, site) as running, ExitStack() as opened:
        switches = {n: opened.enter_context(RawSwitch(n, (1, 2, 3, 4))) for n in (1, 2, 3)}
        for switch in switches.values():
            switch.connect(running.port).quiet()
        checked, unchecked = {"s1:2", "s3:2"}, {"s2:2", "s3:3"}
        assert both(running, checked) and both(running, unchecked)
        for dpid in (1, 2):
            switches[dpid].unanswered = {2}
            switches[dpid].port_status(2, True)
        wait_for(lambda: not both(running, checked))
        assert both(running, unchecked), "nobody promised that it is checked"
        switches[1].unanswered = set()
        switches[1].port_status(2, True)
        wait_for(lambda: both(running, checked))


def test_a_switch_that_refuses_groups_is_named_and_led_by_ports(tmp_path: Path) -> None:
    group = b"\x00\x16\x00\x08"  # OFPAT_GROUP
    with Running(tmp_path) as running, RawSwitch(1) as old, RawSwitch(3, (1, 2, 3, 4)) as new:
        old.refuses_groups = True
        for switch in (old, new):
            switch.connect(running.port).quiet()

        def labels(switch: RawSwitch) -> list[bytes]:
            return [data for (table, *_), (_, data) in switch.flows.items() if table == Table.LABEL]

        wait_for(lambda: labels(old) and not any(group in data for data in labels(old)))
        assert any(group in data for data in labels(new))
        assert running.log().count("switch s1 takes no failover groups") == 1
        assert running.metric("steering_openflow_errors_total", type="bad-request") > 0
