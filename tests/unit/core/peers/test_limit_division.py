"""Limits are divided anew: who comes, goes or takes over gets its part when the others have theirs, and nothing is counted twice."""

from typing import Any

import pytest

from steering.core.clustered_engine import ClusteredEngine
from steering.core.inputs import Continue, Tick
from steering.core.outputs import GoOn, Output
from steering.core.peer_facts import ClusterChanged, PeerLost, PeerTold, TellPeer
from steering.core.peers.limit_division import AWAY, FAR, SETTLES, LimitDivision
from steering.core.peers.limit_parts import SharedLedger
from steering.core.peers.peer_events import PeerEvent
from steering.model.ids import DatapathId
from steering.model.policy import Policy, Quotas
from steering.model.session import Refusal
from steering.wire.peer_messages import LimitExcess, LimitStanding
from tests.support.clustered import SHARES, Cluster, steers
from tests.support.limit_world import World
from tests.support.sites import capable, off_path_site

WHO = "anna"


def fill(world: World, *dpids: int) -> int:
    """So many begin until none may."""
    begun = 0
    for dpid in dpids:
        while world.begins(dpid, WHO):
            begun += 1
    return begun


@pytest.mark.row("D-6.3f", "D-6.7.7")
def test_who_joins_when_all_is_used_up_begins_nothing() -> None:
    world = World("ab", 2, 100)
    assert fill(world, 0, 1) == 100
    world.comes("c")
    world.settle()
    world.takes("c", 1)
    world.settle()
    assert fill(world, 0, 1) == 0 and world.total(WHO) == 100
    for _ in range(60):
        world.ends(0)
    world.settle()
    assert fill(world, 0, 1) > 0 and world.total(WHO) <= 100
    world.heals()


@pytest.mark.row("D-6.3f", "D-6.7.1")
def test_what_a_dead_one_had_is_used_again_when_its_switch_was_read_and_not_before() -> None:
    world = World("abc", 3, 90)
    assert fill(world, 0) == 30
    world.dies("a")
    world.takes("b", 0)
    for name in "bc":
        world.hears(name)
        world.ticks(name)
    assert fill(world, 1) == 30, "its own part: nobody knows yet what lives at the switch of the dead one"
    for _ in range(30):
        world.ends(1)
    world.settle()
    begun = fill(world, 0, 1, 2)
    assert begun == 60 and world.total(WHO) == 90


def test_who_gives_a_switch_up_counts_its_sessions_until_its_next_owner_does() -> None:
    world = World("ab", 3, 90)
    assert fill(world, 0, 1) == 90
    world.takes("b", 0)
    world.hears("a")
    world.forgets("a", 99)
    assert fill(world, 2) == 0 and world.total(WHO) == 90, "they live on, and b has not read them"
    world.settle()
    assert fill(world, 0, 1, 2) == 0


def test_in_a_partition_each_side_has_what_it_had_and_after_it_everything() -> None:
    world = World("abc", 3, 90)
    world.parts("a")
    for name in "abc":
        world.hears(name)
        world.ticks(name)
    assert [fill(world, dpid) for dpid in range(3)] == [30, 30, 30]
    for dpid in range(3):
        for _ in range(30):
            world.ends(dpid)
    world.heals()
    for _ in range(20):
        fill(world, 0)
        world.settle()
    assert world.total(WHO) >= 80, "the others give halves of what they do not use"


def test_what_was_said_to_one_that_took_it_for_a_strangers_is_said_again() -> None:
    """Found by the state machine: by chance both had the same number, and neither spoke again."""
    sure = LimitDivision(SharedLedger(), lambda waited: True, lambda dpids: True)
    sure.changed("a", frozenset("b"), {}, ())
    sure.up("b", 3)
    sure.look()
    said = sure.standing("b", LimitStanding(2, sure._among, False))
    assert TellPeer("b", LimitStanding(2, sure._among, True)) in said
    assert TellPeer("b", LimitStanding(2, sure._among, False)) in sure.standing(
        "b", LimitStanding(1, 0, True)
    )


def test_beside_one_of_an_earlier_version_each_goes_by_who_is_there() -> None:
    ledger = SharedLedger()
    division = LimitDivision(ledger, lambda waited: False, lambda dpids: False)
    division.changed("a", frozenset("b"), {}, ())
    assert ledger.part(0, WHO, 10) == 0 and not ledger.is_divided
    assert division.up("b", 2) == [] == division.look()
    assert ledger.part(0, WHO, 10) == 5 and ledger.is_divided


@pytest.mark.row("D-6.7.7")
def test_controllers_are_upgraded_one_at_a_time_and_then_limits_hold() -> None:
    world = World("abc", 3, 90, dict.fromkeys("abc", 2))
    assert fill(world, 0, 1, 2) == 90
    for name in "abc":
        world.dies(name)
        for dpid, master in world.masters.items():
            if master == name:
                world.takes(next(iter(world.members)), dpid)
        world.settle()
        del world.versions[name]
        world.comes(name)
        world.settle()
        world.takes(name, "abc".index(name))
        world.settle()
        is_new = not world.versions
        assert all(member.ledger.is_divided for member in world.members.values()), "as before, or as today"
    assert is_new and fill(world, 0, 1, 2) == 0
    for _ in range(30):
        world.ends(0)
    for _ in range(8):
        fill(world, 1)
        world.settle()
    assert 85 <= world.total(WHO) <= 90


def test_what_others_have_beyond_their_parts_is_told_and_taken_off() -> None:
    ledger = SharedLedger()
    ledger.told_excess("b", LimitExcess(0, WHO, 10, 4))
    ledger.told_excess("c", LimitExcess(0, WHO, 10, 2**32 - 1))
    assert ledger.part(0, WHO, 10) == 10 - 4 - 10, "of a liar no more than the limit"
    ledger.forget_excess("c")
    assert ledger.part(0, WHO, 10) == -4, "until it has told all anew"
    ledger.told_all_excess("c")
    assert ledger.part(0, WHO, 10) == 6
    ledger.told_excess("b", LimitExcess(0, WHO, 10, 0))
    assert ledger.part(0, WHO, 10) == 10


def test_who_gives_a_switch_up_is_not_ready_before_its_sessions_are_forgotten() -> None:
    """They would count here for ever: what goes after a division was complete goes with the next one."""
    world = World("ab", 3, 90)
    assert fill(world, 0) == 45
    world.takes("b", 0)
    for name in "ab":
        world.hears(name)
    world.reads("b", 0)
    for _ in range(4):
        for name in "ab":
            world.ticks(name)
            while world.deliver("a", "b") or world.deliver("b", "a"):
                pass
    assert not any(member.ledger.is_divided for member in world.members.values())
    world.forgets("a", 45)
    world.heals()
    assert [member.ledger._used(0, WHO) for member in world.members.values()] == [0, 45]


def lone(knows: list[bool]) -> tuple[LimitDivision, SharedLedger]:
    """A controller that starts and finds nobody. `knows`: whether it knows its switches' sessions, last."""
    ledger = SharedLedger()
    ledger.keep({(0, 10)})
    division = LimitDivision(ledger, lambda waited: knows[-1], lambda dpids: True)
    assert ledger.part(0, WHO, 10) == 10, "before it is one of several"
    division.changed("a", frozenset(), {}, ())
    return division, ledger


def test_who_starts_and_finds_nobody_has_a_part_when_its_switches_have_told() -> None:
    """Another one may be cut off from etcd, and its sessions are at switches that this one takes over."""
    knows = [False]
    division, ledger = lone(knows)
    division.tick(5.0)
    assert ledger.part(0, WHO, 10) == 0 and not ledger.is_sure
    knows.append(True)
    division.tick(5.05)
    assert ledger.part(0, WHO, 10) == 10 and ledger.is_sure


def test_who_starts_and_finds_nobody_waits_some_seconds_for_a_switch_that_does_not_tell() -> None:
    division, ledger = lone([False])
    division.tick(5.0)
    division.tick(5.0 + SETTLES - 0.1)
    assert ledger.part(0, WHO, 10) == 0
    division.tick(5.0 + SETTLES)
    assert ledger.part(0, WHO, 10) == 10
    division.changed("a", frozenset("b"), {}, ())
    division.tick(6.0 + SETTLES)
    division.tick(7.0 + 2 * SETTLES)
    assert not ledger.is_divided and ledger.is_sure, "beside another one nothing is complete without it"


def test_who_starts_before_anybody_decides_for_a_switch_has_no_part() -> None:
    """The first controller of a cell: nobody decided, it gives itself all switches a moment later, and they hold sessions."""
    policy = Policy(quotas=Quotas(sessions_per_subscriber=30))
    engine = ClusteredEngine(off_path_site(), policy, epoch=7)
    ledger: Any = engine.sessions.table.ledger
    for at, owners in ((100.0, {}), (100.1, dict.fromkeys(SHARES, "a"))):
        engine.handle(ClusterChanged("a", frozenset(), owners), at)
        engine.handle(Tick(), at + 0.05)
        assert ledger.part(0, WHO, 30) == 0
    engine.handle(Tick(), 100.1 + SETTLES)
    assert ledger.part(0, WHO, 30) == 0
    engine.handle(Tick(), 100.2 + SETTLES)
    assert ledger.part(0, WHO, 30) == 30


def test_switches_that_do_not_connect_at_a_start_are_away_after_some_time() -> None:
    waits: list[bool] = []

    def knows(waited: bool) -> bool:
        waits.append(waited)
        return waited

    division = LimitDivision(SharedLedger(), knows, lambda dpids: True)
    division.changed("a", frozenset("b"), {}, ())
    division.up("b", 3)
    assert not division.tick(5.0) and not division.tick(5.0 + AWAY - 0.1)
    assert division.tick(5.0 + AWAY) == [TellPeer("b", LimitStanding(2, division._among, True))]
    assert waits == [False, False, True]


def test_a_number_that_no_division_can_have_is_passed_over() -> None:
    """After the last one no division would be another than the one before."""
    cluster = Cluster(policy=Policy(quotas=Quotas(sessions_per_subscriber=30)))
    engine = cluster.engines["a"]
    before = engine.peers.events[PeerEvent.OUT_OF_PLACE]
    cluster.give("a", PeerTold("b", LimitStanding(2**64 - 1, 0, True)))
    assert engine.peers.events[PeerEvent.OUT_OF_PLACE] == before + 1
    ledger: Any = engine.sessions.table.ledger
    assert ledger.is_divided


def joined(name: str, other: str) -> tuple[LimitDivision, SharedLedger]:
    ledger = SharedLedger()
    ledger.keep({(0, 10)})
    division = LimitDivision(ledger, lambda waited: True, lambda dpids: True)
    division.changed(name, frozenset(other), {}, ())
    division.up(other, 3)
    return division, ledger


def test_who_starts_has_its_part_however_far_a_liar_had_brought_the_others() -> None:
    eldest, ledger = joined("a", "b")
    eldest.standing("b", LimitStanding(eldest._number, eldest._among, True))
    eldest.look()
    assert ledger.is_divided
    for _ in range(3):
        lie = LimitStanding(eldest._number + FAR, 0, False)
        assert not eldest.is_far(lie)
        eldest.standing("b", lie)
    fresh, its = joined("b", "a")
    posts = [*eldest.up("b", 3), *fresh.look()]
    while posts:
        one = posts.pop(0)
        to, by = (fresh, "a") if one.name == "b" else (eldest, "b")
        if isinstance(one.message, LimitStanding) and not to.is_far(one.message):
            posts += to.standing(by, one.message)
        posts += to.look()
    assert ledger.is_divided and its.is_divided and its.part(0, WHO, 10) == 5
    assert fresh.is_far(LimitStanding(fresh._number + FAR + 1, 0, True))


def test_a_host_at_a_limit_waits_no_longer_for_divisions_of_which_none_is_complete() -> None:
    """A stream that comes and goes, or a liar, begins the next one again and again."""
    division, ledger = joined("a", "b")
    sure = []
    for n in range(12):
        division.tick(5.0 + n)
        sure.append(ledger.is_sure)
        division.standing("b", LimitStanding(division._number + 1, 0, False))
    assert sure == [False] * int(SETTLES) + [True] * (12 - int(SETTLES))
    division.standing("b", LimitStanding(division._number, division._among, True))
    assert ledger.is_divided
    division.up("b", 3)
    assert not ledger.is_sure, "what is free now is not known again"


def test_a_switch_that_a_dead_one_had_is_read_by_whoever_gets_it_from_its_heir() -> None:
    """The heir never reached it, and the load was levelled."""
    unread = {1}
    ledger = SharedLedger()
    division = LimitDivision(ledger, lambda waited: True, unread.isdisjoint)
    switches = [DatapathId(n) for n in (1, 2, 3)]

    def owned(others: str, *names: str) -> None:
        division.changed("c", frozenset(others), dict(zip(switches, names, strict=True)), switches)
        division.look()

    def ready(*names: str) -> None:
        for name in names:
            division.standing(name, LimitStanding(division._number, division._among, True))

    owned("ab", "b", "a", "c")
    for name in "ab":
        division.up(name, 3)
    division.look()
    ready("a", "b")
    assert ledger.is_divided
    owned("a", "a", "a", "c")
    owned("a", "c", "a", "c")
    ready("a")
    assert not ledger.is_divided
    unread.clear()
    division.look()
    assert ledger.is_divided


@pytest.mark.row("D-6.3f", "D-6.7.1")
def test_while_limits_are_divided_a_syn_at_a_limit_waits_and_later_it_is_refused() -> None:
    cluster = Cluster(policy=Policy(quotas=Quotas(sessions_per_subscriber=30)))
    engine = cluster.engines["a"]
    refused = engine.counters.refusals
    for n in range(10):
        assert steers(cluster.syn(1, 1, capable("10.1.0.2", 10_000 + n)))
    cluster.cut = {frozenset("ab"), frozenset("ac")}
    cluster.give("a", PeerLost("b"))
    cluster.give("a", ClusterChanged("a", frozenset("c"), {**SHARES, 3: "c", 5: "c"}))
    assert not cluster.syn(1, 1, capable("10.1.0.2", 11_000)) and refused[Refusal.RECOVERING] == 1
    cluster.later(0.1)
    assert not cluster.syn(1, 1, capable("10.1.0.2", 11_000)) and refused[Refusal.SESSION_LIMIT] == 0
    cluster.later(SETTLES)
    assert cluster.syn(1, 1, capable("10.1.0.2", 11_000)) and refused[Refusal.SESSION_LIMIT] == 1


def test_an_engine_is_ready_when_it_has_forgotten_what_it_gave_up() -> None:
    cluster = Cluster(policy=Policy(quotas=Quotas(sessions_per_subscriber=3_000)))
    for n in range(1, 400):
        cluster.session("10.1.0.2", 10_000 + n, n.to_bytes(8, "big"))
    engine = cluster.engines["a"]
    said = engine.handle(ClusterChanged("a", frozenset("abc"), {**SHARES, 1: "c"}), cluster.now)
    assert any(isinstance(one, GoOn) for one in said)
    said = engine.handle(Tick(), cluster.now)
    assert engine.handover.is_giving_up and not ready(said)
    while engine.handover.is_giving_up:
        engine.handle(Continue(), cluster.now)
    assert ready(engine.handle(Tick(), cluster.now))


def ready(outputs: list[Output]) -> bool:
    return any(
        isinstance(one, TellPeer) and isinstance(one.message, LimitStanding) and one.message.ready
        for one in outputs
    )


def test_engines_divide_limits_when_one_is_gone() -> None:
    cluster = Cluster(policy=Policy(quotas=Quotas(sessions_per_subscriber=30)))
    ledgers: dict[str, Any] = {name: engine.sessions.table.ledger for name, engine in cluster.engines.items()}
    assert [ledger.part(0, b"\n\1\0\2", 30) for ledger in ledgers.values()] == [10, 10, 10]
    assert all(ledger.is_divided for ledger in ledgers.values())
    for name in "ac":
        cluster.cut.add(frozenset((name, "b")))
        cluster.give(name, PeerLost("b"))
    owners = {dpid: "c" if owner == "b" else owner for dpid, owner in cluster.shares.items()}
    for name in "ac":
        cluster.give(name, ClusterChanged(name, frozenset("ac"), owners))
    cluster.dead.add("b")
    cluster.later(0.05)
    assert [ledgers[name].part(0, b"\n\1\0\2", 30) for name in "ac"] == [10, 10], "b's switches were not read"
    begun = sum(bool(steers(cluster.syn(1, 1, capable("10.1.0.2", 10_000 + n)))) for n in range(20))
    assert begun == 10
