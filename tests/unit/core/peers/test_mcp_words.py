"""An MCP reports to one controller. All controllers know what its reports show, and each ends its own sessions once."""

import pytest

from steering.core.inputs import McpReport
from steering.core.peer_facts import PeerLost, PeerTold, PeerUp
from steering.core.peers.peer_events import PeerEvent
from steering.core.selection.mcp_health import McpFault
from steering.model.ids import McpId
from steering.model.policy import Policy, Timers
from steering.wire.peer_messages import WITH_MCP_REPORTS, McpFact, McpWord, ReportState
from tests.support.clustered import Cluster
from tests.support.sites import UE_LTE, UE_WLAN

HOLD = 0.5
PACE = 0.2
POLICY = Policy(max_stretch=9, timers=Timers(health_hold=HOLD))
SOON = 4 * PACE + 0.2  # seconds after which all know that promised reports are missing


class Reported:
    """Three controllers; the MCPs report to `to`, which has none of them at its switches."""

    def __init__(self) -> None:
        self.cluster = Cluster(policy=POLICY)
        self.to = {mcp.id: "a" for mcp in self.cluster.site.mcps}
        self._step = 0
        self.sessions = {
            "a": self.cluster.session(UE_LTE, 40_000, b"a key  1"),
            "c": self.cluster.session(UE_WLAN, 40_001, b"a key  2", dpid=2),
        }
        (number,) = {one.mcp for one in self.sessions.values()}
        self.core = number
        (self.other,) = self.to.keys() - {number}

    def passes(self, seconds: float, *reporting: McpId, alive: bool = True) -> None:
        """Time goes by while some MCPs report, by turns."""
        for _ in range(round(seconds / 0.05)):
            self._step += 1
            for place, number in enumerate(reporting):
                if self._step % 4 == 2 * place:
                    self.cluster.give(self.to[number], McpReport(number, alive, 0.1, PACE))
            self.cluster.later(0.05)

    def faults(self, number: McpId) -> dict[str, McpFault | None]:
        return {name: one.chooser.health[number].fault for name, one in self.cluster.engines.items()}

    def chosen(self) -> set[str]:
        """Controllers that let the MCP have new sessions."""
        engines = self.cluster.engines
        return {name for name, one in engines.items() if self.core not in one.chooser.excluded}

    def live(self) -> set[str]:
        """Controllers whose session goes on."""
        engines = self.cluster.engines
        return {
            name
            for name, session in self.sessions.items()
            if not session.ending and session.id in engines[name].sessions.table.by_id
        }

    def aborts(self) -> dict[str, int]:
        return {name: sum(one.counters.aborts.values()) for name, one in self.cluster.engines.items()}


def all_have(fault: McpFault | None) -> dict[str, McpFault | None]:
    return dict.fromkeys("abc", fault)


@pytest.mark.row("D-6.7.1")
def test_an_mcp_that_freezes_is_dead_to_all_soon_and_each_session_ends_once() -> None:
    world = Reported()
    world.passes(1.0, world.core, world.other)
    assert world.chosen() == set("abc") and world.live() == set("ac")
    world.passes(SOON, world.other)
    assert world.faults(world.core) == all_have(McpFault.FROZEN) and not world.chosen()
    assert world.faults(world.other) == all_have(None)
    assert not world.live()
    world.passes(10.0, world.other)
    assert world.aborts() == {"a": 1, "b": 0, "c": 1}
    world.passes(HOLD + 0.3, world.core, world.other)
    assert world.faults(world.core) == all_have(None) and world.chosen() == set("abc")


@pytest.mark.row("D-6.7.1")
def test_an_mcp_that_says_that_it_does_not_serve_is_dead_to_all() -> None:
    world = Reported()
    world.passes(1.0, world.core, world.other)
    world.cluster.give("a", McpReport(world.core, False, None, PACE))
    world.passes(0.5, world.other)
    assert world.faults(world.core) == all_have(McpFault.SAYS_SO) and not world.live()


@pytest.mark.row("D-6.7.1")
def test_an_mcp_that_is_left_alone_gets_no_new_session_anywhere_and_its_sessions_go_on() -> None:
    world = Reported()
    world.passes(1.0, world.core, world.other)
    world.passes(SOON)
    assert world.faults(world.core) == all_have(McpFault.FROZEN) and not world.chosen()
    for name, session in world.sessions.items():
        assert world.cluster.engines[name].sessions.aborted.refusal(session) is None, "joins of it go on"
    world.passes(5.0)
    assert world.live() == set("ac") and world.aborts() == dict.fromkeys("abc", 0)
    world.passes(HOLD + 0.3, world.core, world.other)
    assert world.chosen() == set("abc") and world.live() == set("ac")


def test_the_mcps_that_a_lost_controller_left_alone_serve_again_and_one_that_it_found_dead_does_not() -> None:
    world = Reported()
    world.passes(1.0, world.core, world.other)
    world.passes(SOON)
    for name in "bc":
        world.cluster.give(name, PeerLost("a"))
    world.cluster.dead.add("a")
    world.passes(HOLD + 0.3)
    assert world.chosen() >= set("bc") and world.live() == set("ac")

    world = Reported()
    world.passes(1.0, world.core, world.other)
    world.passes(SOON, world.other)
    for name in "bc":
        world.cluster.give(name, PeerLost("a"))
    world.cluster.dead.add("a")
    world.passes(2.0)
    assert not world.chosen() & set("bc")
    # The controller has begun anew: it knows no reports, and says nothing about this MCP.
    for name in "bc":
        world.cluster.give(name, PeerUp("a"))
    world.passes(HOLD + 0.3)
    assert world.chosen() >= set("bc")


def test_an_mcp_that_reports_to_another_controller_is_dead_to_none_also_when_that_one_is_lost() -> None:
    world = Reported()
    world.passes(1.0, world.core, world.other)
    world.to[world.core] = "c"
    world.passes(3.0, world.core, world.other)
    assert world.faults(world.core) == all_have(None) and world.live() == set("ac")
    world.cluster.dead.add("c")
    for name in "ab":
        world.cluster.give(name, PeerLost("c"))
    world.passes(3.0, world.other)
    assert world.chosen() >= set("ab") and "a" in world.live()


def test_the_word_of_one_that_hears_the_mcp_counts_more_than_of_one_that_does_not() -> None:
    world = Reported()
    engine = world.cluster.engines["a"]
    world.passes(1.0, world.core, world.other)
    engine.handle(PeerTold("c", McpWord(world.core, ReportState.FROZEN)), world.cluster.now)
    world.cluster.give("b", PeerTold("c", McpWord(world.core, ReportState.FROZEN)))
    world.passes(0.5, world.core, world.other)
    assert world.chosen() == set("abc") and "a" in world.live()
    before = engine.peers.events[PeerEvent.OUT_OF_PLACE]
    engine.handle(PeerTold("c", McpWord(0xFFFF, ReportState.FROZEN)), world.cluster.now)
    assert engine.peers.events[PeerEvent.OUT_OF_PLACE] == before + 1


def test_a_controller_that_comes_later_is_told() -> None:
    world = Reported()
    world.passes(1.0, world.core, world.other)
    world.cluster.part("ab", "c")
    world.passes(SOON, world.other)
    assert world.faults(world.core) == {"a": McpFault.FROZEN, "b": McpFault.FROZEN, "c": None}
    world.cluster.heal()
    assert world.faults(world.core) == all_have(McpFault.FROZEN)


def test_a_controller_of_an_earlier_version_gets_no_words_but_of_mcps_at_its_peers_switches() -> None:
    cluster = Cluster(policy=POLICY)
    number = cluster.session(UE_LTE, 40_000, b"a key  1").mcp
    assert cluster.shares[cluster.engines["b"].map.inside[number].port.dpid] == "b"
    cluster.give("b", PeerUp("c", WITH_MCP_REPORTS - 1))
    cluster.sent.clear()
    cluster.give("b", McpReport(number, False, None))
    cluster.later(0.05)
    told = {
        (to, one)
        for sender, to, one in cluster.sent
        if sender == "b" and isinstance(one, McpFact | McpWord) and one.mcp == number
    }
    assert {one for one in told if one[0] == "c"} == {("c", McpFact(number, False))}
    assert ("a", McpWord(number, ReportState.REFUSES)) in told and ("a", McpFact(number, False)) not in told


def test_a_controller_of_an_earlier_version_does_not_end_sessions_of_an_mcp_that_is_left_alone() -> None:
    """It knows only MCPs that serve, and MCPs that are dead."""
    world = Reported()
    cluster = world.cluster
    assert cluster.shares[cluster.engines["b"].map.inside[world.core].port.dpid] == "b"
    world.to = dict.fromkeys(world.to, "b")
    cluster.give("b", PeerUp("c", WITH_MCP_REPORTS - 1))
    world.passes(1.0, world.core, world.other)
    cluster.sent.clear()
    world.passes(SOON)
    assert cluster.engines["b"].chooser.health[world.core].fault is McpFault.FROZEN
    assert not [one for _, to, one in cluster.sent if to == "c" and isinstance(one, McpFact | McpWord)]
