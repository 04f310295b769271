"""What an uplink is now, from what the kernel tells of its link, addresses and routes; and what is made of changes."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from steering.relay.kernel import uplink_watch
from steering.relay.kernel import uplinks as kernel_uplinks
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.route_netlink import (
    DefaultRoute,
    LinkAddress,
    LinkState,
    NetlinkRefusal,
    NetlinkRefused,
)
from steering.relay.kernel.stuck_subflows import SubflowProgress
from steering.relay.kernel.uplink_watch import UplinkWatch, look
from steering.relay.kernel.uplinks import MOST_OLDER, Uplink
from steering.relay.log import Log

FRESH = Uplink("dsl0")
PLAIN = LinkAddress(4, "10.1.0.2", preferred=300)
STABLE = LinkAddress(4, "2001:db8::1", preferred=86_400)
PRIVATE = LinkAddress(4, "2001:db8::7", temporary=True, preferred=600)


@dataclass
class Machine:
    """Answers as RouteSocket does."""

    there: bool = True
    up: bool = True
    held: list[LinkAddress] = field(default_factory=list)
    routes: list[DefaultRoute] = field(default_factory=list)
    refuses: bool = False

    def link(self, name: str) -> LinkState | None:
        if self.refuses:
            raise NetlinkRefused(NetlinkRefusal.SILENT)
        return LinkState(4, name, self.up) if self.there else None

    def addresses(self, link: int) -> list[LinkAddress]:
        return self.held

    def default_routes(self, link: int) -> list[DefaultRoute]:
        return self.routes

    def close(self) -> None:
        pass


def now(*held: LinkAddress, before: Uplink = FRESH, there: bool = True, up: bool = True) -> Uplink:
    return look(Machine(there, up, list(held)), before)


def test_an_interface_that_is_not_there_or_has_nothing_is_an_uplink_without_addresses() -> None:
    assert now(PLAIN, there=False) == Uplink("dsl0") == now(up=False)
    assert now(PLAIN, up=False).address(4) == "10.1.0.2" and not now(PLAIN, up=False).index


def test_the_gateway_is_that_of_the_best_default_route() -> None:
    routes = [
        DefaultRoute(4, 4, "10.1.0.1", 200),
        DefaultRoute(4, 4, "10.1.0.254", 100),
        DefaultRoute(4, 6, "", 9),
    ]
    assert look(Machine(held=[PLAIN], routes=routes), Uplink("dsl0")).gateways == ("10.1.0.254", "")


def test_an_address_in_use_stays_as_long_as_it_is_not_deprecated() -> None:
    before = now(STABLE)
    other = LinkAddress(4, "2001:db8::2", preferred=999_999)
    assert now(other, STABLE, before=before).address(6) == STABLE.text
    assert now(other, STABLE._replace(deprecated=True), before=before).address(6) == other.text


def test_privacy_addresses_go_before_stable_ones_and_the_newest_is_taken() -> None:
    assert now(STABLE, PRIVATE).address(6) == PRIVATE.text
    newer = PRIVATE._replace(text="2001:db8::8", preferred=900)
    after = now(STABLE, PRIVATE._replace(deprecated=True, preferred=0), newer, before=now(STABLE, PRIVATE))
    assert (after.address(6), after.older) == (newer.text, (PRIVATE.text,))
    assert now(STABLE, newer, before=after).older == ()  # it is gone


def test_an_address_that_leads_nowhere_is_not_dialled_from() -> None:
    """A CPE behind another router has a unique local address too, and one for the modem may be set by hand."""
    local = LinkAddress(4, "fd00::7", temporary=True, preferred=999_999, length=64)
    assert now(local, STABLE).address(6) == STABLE.text
    assert now(local, STABLE, PRIVATE, before=now(local)).address(6) == PRIVATE.text
    assert now(local).address(6) == local.text, "it is better than none"
    modem = LinkAddress(4, "192.168.100.2", preferred=0xFFFF_FFFF, length=24)
    leased = PLAIN._replace(length=24)
    alone = look(Machine(held=[modem]), FRESH)
    assert alone.address(4) == modem.text
    routes = [DefaultRoute(4, 4, "10.1.0.1", 100)]
    assert look(Machine(held=[modem, leased], routes=routes), FRESH).address(4) == leased.text
    after = look(Machine(held=[modem, leased], routes=routes), alone)
    assert (after.address(4), after.older) == (leased.text, (modem.text,))
    named = [DefaultRoute(4, 4, "", 100, leased.text)]  # PPP: no gateway tells
    assert look(Machine(held=[modem, leased], routes=named), FRESH).address(4) == leased.text
    assert look(Machine(held=[modem, leased]), after).address(4) == leased.text, "while a lease is renewed"


def test_a_check_and_a_script_are_made_for_the_address_that_a_relay_dials_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = [LinkAddress(4, "192.168.100.2", preferred=0xFFFF_FFFF, length=24), PLAIN._replace(length=24)]
    machine = Machine(held=held, routes=[DefaultRoute(4, 4, "10.1.0.1", 100)])
    monkeypatch.setattr(uplink_watch, "RouteSocket", lambda refusals: machine)
    assert uplink_watch.read(["dsl0"]) == (Uplink("dsl0", (PLAIN.text, ""), ("10.1.0.1", ""), (), 4),)
    machine.held = []
    with pytest.raises(RuleError, match="--uplink dsl0: it has no address yet"):
        uplink_watch.read(["dsl0"])
    machine.refuses = True
    with pytest.raises(RuleError, match="the uplinks cannot be read: "):
        uplink_watch.read(["dsl0"])


def test_where_all_are_deprecated_one_of_them_is_better_than_none() -> None:
    assert now(PLAIN._replace(deprecated=True)).address(4) == PLAIN.text


def test_older_addresses_are_bounded() -> None:
    before, held = Uplink("dsl0"), list[LinkAddress]()
    for number in range(10):
        held = [one._replace(deprecated=True) for one in held]
        held.append(LinkAddress(4, f"2001:db8::{number + 1:x}", temporary=True, preferred=9))
        before = now(*held, before=before)
    assert before.address(6) == "2001:db8::a" and len(before.older) == MOST_OLDER


@dataclass
class Following:
    watch: UplinkWatch
    machine: Machine
    settled: list[tuple[int, tuple[str, ...], tuple[str, ...]]]
    fails: list[str]
    joins: list[tuple[int, bool]] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    subflows: list[SubflowProgress] = field(default_factory=list)

    def turn(self, at: float = 1e9) -> None:
        self.watch._turn(at)


@pytest.fixture
def following(monkeypatch: pytest.MonkeyPatch) -> Iterator[Following]:
    made = UplinkWatch(["dsl0", "lte0"], True, Log(True, False, io.StringIO()))
    made._kernel.close()
    found = Following(made, Machine(), [], [])
    made._kernel = found.machine  # type: ignore[assignment]

    def settle(number: int, before: Uplink, after: Uplink, joins: bool = True) -> None:
        if found.fails:
            raise RuleError(found.fails.pop())
        found.joins.append((number, joins))
        found.settled.append((number, before.all_addresses, after.all_addresses))

    monkeypatch.setattr(kernel_uplinks, "settle", settle)
    monkeypatch.setattr(kernel_uplinks, "abandon", lambda address: None)
    monkeypatch.setattr(kernel_uplinks, "carries_subflows", lambda uplink: True)
    monkeypatch.setattr(kernel_uplinks, "set_aside", lambda uplink: found.dropped.append(uplink.interface))
    monkeypatch.setattr(made._subflows, "read", lambda: found.subflows)
    yield found
    made.stop()


def test_a_change_is_told_and_made(following: Following) -> None:
    told: list[Uplink] = []
    following.watch.changed = told.append
    following.machine.held = [PLAIN]
    following.turn()
    assert [one.address(4) for one in told] == ["10.1.0.2"] * 2 and following.watch.changes == 2
    assert following.settled == [(0, (), ("10.1.0.2",)), (1, (), ("10.1.0.2",))]
    following.turn()
    assert len(told) == 2 == len(following.settled), "nothing changed"


def test_what_cannot_be_made_yet_is_tried_again_and_counted(following: Following) -> None:
    following.fails = ["no route to the gateway", "no route to the gateway"]
    following.machine.held = [PLAIN]
    following.turn()
    assert following.settled == [] and following.watch.failed == 2
    following.turn()
    assert len(following.settled) == 2


def test_who_cannot_be_asked_stays_as_it_was(following: Following) -> None:
    following.machine.held = [PLAIN]
    following.turn()
    following.machine.refuses = True
    following.turn()
    assert [one.address(4) for one in following.watch.uplinks] == ["10.1.0.2"] * 2
    assert following.watch.failed == 2 and following.watch.changes == 2


def test_a_defect_is_told_and_does_not_end_the_watch(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[float] = []

    def turn(at: float) -> None:
        turns.append(at)
        if len(turns) == 1:
            raise ValueError("made up")
        following.watch._thread.is_ending = True

    monkeypatch.setattr(following.watch, "_turn", turn)
    following.machine.fileno = following.watch._thread.woken.fileno  # type: ignore[attr-defined]
    following.watch._run()
    assert len(turns) == 2 and following.watch.failed == 1


def test_a_link_without_a_carrier_keeps_what_it_has_where_no_other_carries(following: Following) -> None:
    following.machine.held = [PLAIN]
    following.turn()
    following.machine.up = False
    following.turn()
    assert len(following.settled) == 2, "both are down: a subflow may go on when the cable is back"


def test_without_apply_nothing_is_made(following: Following) -> None:
    following.watch._apply = False
    following.machine.held = [PLAIN]
    following.turn()
    assert following.watch.changes == 2 and not following.settled


def test_sessions_are_invited_again_where_none_joined(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    invited: list[int] = []
    monkeypatch.setattr(kernel_uplinks, "carries_subflows", lambda uplink: uplink.interface == "lte0")
    monkeypatch.setattr(kernel_uplinks, "invite", lambda number, uplink: invited.append(number))
    following.machine.held = [PLAIN]
    following.turn(0.0)
    for second in range(1, 30):
        following.turn(float(second))
    assert invited == [0] * uplink_watch.INVITES


STUCK, MOVING = SubflowProgress("10.1.0.2", 3, 1, 500), SubflowProgress("10.2.0.2", 1, 0, 5)


@pytest.fixture
def dead(following: Following, monkeypatch: pytest.MonkeyPatch) -> Following:
    """DSL is stuck, LTE moves; the time is 100."""
    ways = (Uplink("dsl0", ("10.1.0.2", ""), index=4), Uplink("lte0", ("10.2.0.2", ""), index=5))
    following.watch.uplinks, following.watch._settled = ways, list(ways)
    monkeypatch.setattr(following.watch, "refresh", lambda: [])
    following.subflows = [STUCK, MOVING]
    following.turn(100.0)
    return following


def test_an_uplink_whose_subflows_are_stuck_is_set_aside_and_told(
    following: Following, dead: Following
) -> None:
    assert dead.dropped == ["dsl0"] and dead.watch.set_aside == 1
    assert [row["aside"] for row in dead.watch.document()] == [True, False]
    dead.watch._due = {0: 100.1, 1: 100.1}
    dead.turn(100.1)
    assert dead.joins == [(0, False), (1, True)], "nothing makes its endpoints meanwhile"


def test_it_is_joined_from_again_after_a_while_and_stays_where_it_answers(
    dead: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    well: list[Uplink] = []
    dead.watch.well = well.append
    dead.subflows = [MOVING]
    dead.turn(101.1)
    assert dead.joins == [(0, True)] and not well
    dead.turn(103.0)
    assert [one.interface for one in well] == ["dsl0"] and dead.watch.set_aside == 1
    dead.turn(1_000.0)
    assert dead.watch.set_aside == 1 and not dead.watch._failures


def test_a_trial_that_fails_doubles_the_wait(dead: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_uplinks, "carries_subflows", lambda uplink: uplink.interface == "lte0")
    dead.subflows = [MOVING]
    at, trials = 100.0, []
    for _ in range(400):
        at += 0.5
        before = len(dead.joins)
        dead.turn(at)
        if len(dead.joins) > before:
            trials.append(at)
    waits = [round(after - before) for before, after in pairwise(trials)]
    assert waits == sorted(waits) and waits[0] <= 4 and waits[-1] >= 32 and len(trials) <= 8


def test_a_line_that_is_dead_for_weeks_is_still_tried(
    dead: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_uplinks, "carries_subflows", lambda uplink: uplink.interface == "lte0")
    dead.subflows = [MOVING]
    dead.watch._failures = {0: 20_000}
    tried = len(dead.joins)
    for second in range(101, 300):
        dead.turn(float(second))
    assert len(dead.joins) > tried + 1


def test_who_dials_and_is_answered_ends_the_wait(dead: Following) -> None:
    dead.watch.answers("dsl0")
    dead.turn(100.2)
    assert dead.joins == [(0, True)]


def test_another_address_ends_it_too(dead: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead.watch, "refresh", lambda: [0])
    dead.subflows = [MOVING]
    dead.turn(100.2)
    assert dead.joins == [(0, True)] and not dead.watch._aside


def test_the_last_uplink_is_never_set_aside(following: Following, dead: Following) -> None:
    dead.subflows = [STUCK, SubflowProgress("10.2.0.2", 3, 2, 900)]
    dead.turn(101.0)
    dead.watch._aside = {}
    dead.turn(102.0)
    assert dead.dropped == ["dsl0"], "where both are stuck it is the peer, or what both share"
