"""MCPs that are asked whether they live, and what is made of their answers and of their silence."""

from collections import Counter
from dataclasses import replace

import pytest

from steering.core.counters import Counters, ProbeAnswer
from steering.core.inputs import (
    ChannelProved,
    EntriesRead,
    McpReport,
    PortStatus,
    ProbeAnswered,
    SwitchDown,
    SwitchUp,
    Tick,
)
from steering.core.network.neighbours import Neighbours
from steering.core.network.site_index import SiteMap
from steering.core.network.switch import Switch, Switches
from steering.core.outputs import SendFrame
from steering.core.pipeline.host_rules import HostRules
from steering.core.selection.mcp_health import LONGEST_HOLD, Health, McpFault, McpHealth
from steering.core.selection.mcp_probes import MOST, REMEMBERED, McpProbes
from steering.model.mechanism import Mechanism
from steering.model.network import PortRef, Probe
from steering.model.policy import Limits, Policy, Timers
from steering.wire.craft import tcp_frame
from steering.wire.handshake import read_handshake
from steering.wire.segment import Flags, read_segment
from tests.support.probed_mcp import SERVICE, Probed
from tests.support.sites import capable, mcp, off_path_site, steered
from tests.support.switched import MCP_MAC
from tests.support.wired import raw

OPEN, REFUSED, MISSED, STRAY = ProbeAnswer.OPEN, ProbeAnswer.REFUSED, ProbeAnswer.MISSED, ProbeAnswer.STRAY


def test_an_open_port_is_asked_five_times_a_second_and_each_answer_is_reset() -> None:
    lab = Probed()
    lab.pass_by(0.5)
    before = lab.questions
    lab.pass_by(2.0)
    assert 9 <= lab.questions - before <= 11
    assert lab.state() is Health.UP and lab.counters.probe_answers[OPEN] == lab.questions
    assert lab.last is not None
    assert lab.last.dst == lab.site.mcps[0].addresses[0].packed
    assert lab.last.src == lab.site.mcps[0].gateways[0].packed
    (reset,) = [s for d in lab.answer(lab.last) if (s := read_segment(d.packet.frame)).flags & Flags.RST]
    assert reset.seq == lab.last.seq + 1, "nothing is left half-open at the MCP"


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize(
    ("port", "what", "fault"),
    [
        (SERVICE, "process", McpFault.PROCESS_GONE),
        (SERVICE, "host", McpFault.HOST_GONE),
        (None, "host", McpFault.HOST_GONE),
    ],
)
def test_three_misses_in_a_row_are_death_and_the_next_session_is_right_within_a_second(
    port, what, fault
) -> None:
    lab = Probed(port, policy=Policy(max_stretch=9))
    lab.pass_by(1.0)
    if what == "process":
        lab.listens = False
    else:
        lab.hosts.discard("core")
    lab.pass_by(0.35)
    assert not lab.core.gone, "a lost answer or two are no death"
    lab.pass_by(0.5)
    assert lab.core.fault is fault and lab.state() is Health.DOWN
    inside = lab.engine.map.inside[lab.site.mcps[1].id].id
    assert steered(lab.syn(1, 1, capable("10.1.0.2", 41_000))).release.waypoint == inside


def test_answers_that_are_lost_now_and_then_change_nothing() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    for _ in range(10):
        lab.hosts.discard("core")
        lab.pass_by(0.35)
        lab.hosts.add("core")
        lab.pass_by(0.45)
        assert not lab.core.gone


def test_what_comes_back_is_believed_after_a_hold_that_doubles_up_to_a_bound() -> None:
    lab = Probed(policy=Policy(timers=Timers(health_hold=3.0)))
    holds = []
    for _ in range(7):
        lab.pass_by(0.5)
        lab.listens = False
        lab.pass_by(1.0)
        assert lab.core.gone
        lab.listens = True
        lab.pass_by(0.4)
        assert not lab.core.gone and lab.state() is Health.DOWN
        holds.append(lab.core.hold)
    assert holds == [3.0, 6.0, 12.0, 24.0, 48.0, LONGEST_HOLD, LONGEST_HOLD]
    lab.pass_by(LONGEST_HOLD + 1, step=0.2)
    assert lab.state() is Health.UP
    lab.pass_by(LONGEST_HOLD, step=0.2)
    lab.listens = False
    lab.pass_by(1.0)
    lab.listens = True
    lab.pass_by(0.4)
    assert lab.core.hold == 3.0, "it was well for so long that it has no history"


@pytest.mark.parametrize(
    "other",
    [
        {"ack": 1},
        {"flags": int(Flags.ACK)},
        {"flags": int(Flags.RST)},
        {"flags": int(Flags.SYN)},
    ],
)
def test_only_what_acknowledges_the_question_is_an_answer(other) -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.hosts.discard("core")
    lab.pass_by(0.25)
    assert lab.last is not None
    before = lab.counters.probe_answers[STRAY]
    assert not lab.answer(lab.last, **other)
    assert lab.counters.probe_answers[STRAY] == before + 1
    lab.pass_by(0.6)
    assert lab.core.gone


def test_an_answer_at_the_mcps_other_port_is_stray() -> None:
    """What its Internet side lets in is no word of its own."""
    lab = Probed(outside=PortRef(3, 5))
    lab.pass_by(1.0)
    lab.hosts.discard("core")
    lab.pass_by(0.25)
    asked = lab.last
    assert asked is not None
    frame = tcp_frame(
        asked.dst, asked.src, asked.dport, asked.sport, seq=99, ack=asked.seq + 1, flags=int(Flags.SYN | Flags.ACK)
    )  # fmt: skip
    for port, word in ((5, STRAY), (1, OPEN)):
        before = lab.counters.probe_answers[word]
        lab.give(ProbeAnswered(3, port, read_handshake(frame), frame))
        assert lab.counters.probe_answers[word] == before + 1


def test_an_answer_nobody_asked_for_is_stray() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    old = lab.last
    assert old is not None
    lab.pass_by(0.2 * REMEMBERED + 0.1)
    assert not lab.answer(old)
    assert lab.counters.probe_answers[STRAY] == 1


@pytest.mark.parametrize("lag", [0.15, 0.35, 1.4])
def test_answers_that_come_later_than_the_next_questions_are_life_all_the_same(lag) -> None:
    lab = Probed()
    lab.pass_by(1.0)
    while lab.lag < lag:  # a controller that falls behind more and more
        lab.lag = min(lag, lab.lag + 0.15)
        lab.pass_by(0.4)
    lab.pass_by(3.0)
    assert not lab.core.gone and lab.state() is Health.UP
    assert lab.counters.probe_answers[STRAY] == 0
    assert lag < 0.2 or lab.counters.probe_answers[ProbeAnswer.LATE] > 10
    lab.hosts.discard("core")
    lab.pass_by(lag + 1.0)
    assert lab.core.fault is McpFault.HOST_GONE, "and what is silent is dead, that much later"


def test_late_refusals_still_say_that_the_process_is_gone() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.lag, lab.listens = 0.35, False
    lab.pass_by(3.0)
    assert lab.core.fault is McpFault.PROCESS_GONE


def test_control_only_the_last_question_counts_and_a_slow_controller_buries_the_living(monkeypatch) -> None:
    monkeypatch.setattr("steering.core.selection.mcp_probes.REMEMBERED", 1)
    lab = Probed()
    lab.pass_by(1.0)
    lab.lag = 0.35
    lab.pass_by(3.0)
    assert lab.core.gone


def test_time_in_which_the_controller_was_busy_is_nobodys_silence() -> None:
    lab = Probed()
    lab.give(McpReport(lab.site.mcps[0].id, True, 0.1, 0.2))
    lab.pass_by(0.5)
    lab.hosts.discard("core")
    for _ in range(10):
        lab.now += 0.7  # each tick comes late
        lab.give(Tick())
    assert not lab.core.gone


def test_a_switch_without_a_channel_says_nothing_of_its_mcp() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.give(SwitchDown(3))
    lab.pass_by(3.0)
    assert not lab.core.gone
    lab.give(SwitchUp(3, {1: True, 2: True, 3: True}))
    lab.apply(lab.give(EntriesRead(3, [], [])))
    lab.pass_by(1.0)
    assert lab.state() is Health.UP


@pytest.mark.parametrize(("port", "cables"), [(SERVICE, True), (None, True), (SERVICE, False)])
def test_a_silent_channel_says_nothing_of_its_mcp_and_when_it_carries_again_the_dead_are_found(
    port: int | None, cables: bool
) -> None:
    """Nor where the site file names no link by which the switch would be seen to be off."""
    lab = Probed(port, cables=cables)
    lab.pass_by(1.0)
    lab.is_silent = True
    lab.hosts.discard("core")  # nobody's answer comes through
    for _ in range(50):
        lab.pass_by(0.2)
        assert not lab.core.gone
    lab.is_silent = False
    lab.pass_by(0.35)
    assert not lab.core.gone, "what was asked meanwhile is one miss at most"
    lab.pass_by(0.5)
    assert lab.core.fault is McpFault.HOST_GONE


def test_an_answer_that_overtakes_the_channels_proof_is_life() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.lag = 0.15  # later than a question's patience
    for _ in range(20):
        lab.pass_by(0.2)
        lab.give(ChannelProved(3, lab.now))
    assert not lab.core.gone


def test_what_was_asked_after_the_switch_was_is_not_missed_by_its_answer() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.is_silent = True
    lab.hosts.discard("core")
    for _ in range(50):
        lab.pass_by(0.2)
        lab.give(ChannelProved(3, lab.now - 1.0))
    assert not lab.core.gone


def test_of_a_switch_that_is_off_the_mcps_are_dead_though_it_proves_nothing() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.is_silent = True
    lab.hosts.discard("core")
    ends = [(link.a, link.b) for link in lab.site.links]
    far = [b if a.dpid == 3 else a for a, b in ends if 3 in (a.dpid, b.dpid)]
    assert far
    for end in far[1:]:
        lab.give(PortStatus(end.dpid, end.port, False))
    lab.pass_by(2.0)
    assert not lab.core.gone, "one cable has carrier: it may be the channel alone"
    lab.give(PortStatus(far[0].dpid, far[0].port, False))
    lab.pass_by(0.9)
    assert lab.core.fault is McpFault.HOST_GONE


def test_a_port_without_a_link_is_not_probed_and_told_as_such() -> None:
    lab = Probed()
    lab.pass_by(1.0)
    lab.give(PortStatus(3, 1, False))
    asked = lab.questions
    lab.pass_by(2.0)
    assert lab.questions == asked and lab.core.fault is McpFault.PORT_DOWN


@pytest.mark.row("D-6.7.1")
def test_a_frozen_relay_is_missed_by_the_pace_that_it_promised() -> None:
    lab = Probed(None, policy=Policy(max_stretch=9))
    core = lab.site.mcps[0]
    for _ in range(10):
        lab.give(McpReport(core.id, True, 0.1, 0.2))
        lab.pass_by(0.2)
    assert lab.state() is Health.UP
    lab.pass_by(0.4)
    assert not lab.core.gone
    lab.pass_by(0.4)
    assert lab.core.fault is McpFault.FROZEN, "its machine answers all the while"
    lab.give(McpReport(core.id, True, 0.1, 0.2))
    assert not lab.core.gone


def test_one_that_promised_no_pace_has_its_time() -> None:
    lab = Probed(None)
    lab.give(McpReport(lab.site.mcps[0].id, True, 0.1))
    lab.pass_by(5.0)
    assert not lab.core.gone


def test_a_thousand_mcps_are_no_storm_and_all_are_asked() -> None:
    several = tuple(mcp(f"m{n}", PortRef(3, 100 + n), f"10.8.{n // 250}.{n % 250 + 2}") for n in range(1_000))
    site = off_path_site(mcps=tuple(replace(one, probe=Probe(SERVICE)) for one in several))
    sitemap, counters, off = SiteMap(site), Counters(), frozenset[Mechanism]()
    neighbours = Neighbours(sitemap, Limits(), HostRules({3: 1}, off), off, counters)
    switches = Switches()
    switches[3] = Switch()
    switches[3].connected = switches[3].filled = True
    for one in several:
        switches[3].ports[one.inside.port] = True
        neighbours.learn(sitemap.attachments[one.inside], one.addresses[0].packed, raw(MCP_MAC), 0.0)
    probes = McpProbes(
        sitemap,
        neighbours,
        switches,
        {one.id: McpHealth(3.0) for one in several},
        counters,
        lambda dpid: False,
        lambda dpid: False,
        True,
    )
    asked: Counter[int] = Counter()
    for tick in range(1, 201):
        outputs = probes.tick(tick * 0.05)
        assert len(outputs) <= MOST * 0.05 * 2
        asked.update(one.port for one in outputs if isinstance(one, SendFrame))
    # Some names have the same 16 bits, which `steering check` finds.
    assert len(asked) > 980 and max(asked.values()) - min(asked.values()) <= 1
    assert 8.5 * MOST <= asked.total() <= 10.2 * MOST
