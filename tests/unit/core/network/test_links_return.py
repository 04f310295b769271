"""Links of switches that reboot, ports that flap, and links that somebody only pretends."""

from dataclasses import replace
from math import inf

import pytest

from steering.core.engine import Engine
from steering.core.inputs import LinkDown, LinkUp, PortStatus, SwitchDown, SwitchUp, Tick
from steering.core.network.links import STEADY
from steering.core.outputs import Release
from steering.model.decision import FilterReason
from steering.model.network import PortRef, Site
from steering.model.policy import Policy
from steering.openflow.discovery.link_discovery import Discovery, Rejection
from tests.support.sites import UE_WLAN, Driver, capable, off_path_site

KEY = b"k" * 32
A, B = PortRef(1, 2), PortRef(2, 2)


class TwoSwitches:
    """A link between two switches, seen by its announcements, at a time that the test sets."""

    def __init__(self, **options: object) -> None:
        self.made = Discovery(KEY, 77, [], **({"hold": 3.0} | options))  # type: ignore[arg-type]
        self.now = 0.0
        self.up: set[tuple[PortRef, PortRef]] = set()
        self.wire = True
        for dpid in (1, 2):
            self.take(self.made.switch_up(dpid, {2: True}, 0.0))

    def take(self, found: object) -> None:
        assert not isinstance(found, Rejection)
        for change in found:  # type: ignore[attr-defined]
            (self.up.add if isinstance(change, LinkUp) else self.up.discard)((change.a, change.b))

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.25)):
            self.now += 0.25
            self.take(self.made.expire(self.now))
            for port, frame in list(self.made.announcements(self.now)):
                if self.wire and {1, 2} <= self.made._ports.keys():
                    self.take(self.made.heard(B if port == A else A, frame, self.now))


BOTH = {(A, B), (B, A)}


@pytest.mark.parametrize("neighbour_sees_it", [True, False])
@pytest.mark.parametrize("away", [0.5, 5.0, 70.0])
@pytest.mark.parametrize("rebooting", [(1,), (1, 2)])
def test_links_of_a_switch_that_reboots_return(
    neighbour_sees_it: bool, away: float, rebooting: tuple[int, ...]
) -> None:
    net = TwoSwitches()
    net.pass_time(2)
    assert net.up == BOTH
    for _ in range(3):
        for dpid in rebooting:
            net.made.switch_down(dpid)
        if neighbour_sees_it and rebooting == (1,):
            net.take(net.made.port_status(B, False))
        net.pass_time(away)
        for dpid in rebooting:
            net.take(net.made.switch_up(dpid, {2: True}, net.now))
        net.take(net.made.port_status(B, True))
        net.pass_time(6)
        assert net.up == BOTH


def test_without_link_return_a_link_that_was_lost_stays_so() -> None:
    """The negative control of the lab `switch-reboot` (mechanism `link-return`)."""
    net = TwoSwitches(hold=inf)
    net.pass_time(2)
    assert net.up == BOTH
    net.take(net.made.port_status(B, False))
    net.take(net.made.port_status(B, True))
    net.pass_time(60)
    assert net.up == set()


def test_a_link_whose_switch_reconnects_while_the_link_is_lost_returns() -> None:
    net = TwoSwitches()
    net.pass_time(2)
    net.wire = False
    net.pass_time(5)
    assert net.up == set()
    net.take(net.made.switch_up(1, {2: True}, net.now))  # connects anew, and nothing was said of the port
    net.wire = True
    net.pass_time(6)
    assert net.up == BOTH


@pytest.mark.row("N-7.2a")
def test_between_ports_that_may_have_no_link_nobody_draws_one() -> None:
    tunnel = Discovery(KEY, 77, [], link_ports=[A])
    for dpid in (1, 2):
        tunnel.switch_up(dpid, {2: True, 7: True}, 0.0)
    frames = dict(tunnel.announcements(1.0))
    assert set(frames) == {A}
    assert tunnel.heard(PortRef(2, 7), frames[A], 1.0) is Rejection.MISPLACED
    anywhere = Discovery(KEY, 77, [])
    for dpid in (1, 2):
        anywhere.switch_up(dpid, {2: True, 7: True}, 0.0)
    frames = dict(anywhere.announcements(1.0))
    assert anywhere.heard(PortRef(2, 7), frames[PortRef(1, 7)], 1.0) == [LinkUp(PortRef(1, 7), PortRef(2, 7))]


@pytest.mark.row("N-7.2a")
def test_an_announcement_that_is_carried_elsewhere_takes_no_link_away() -> None:
    """Two hosts at ports without a link are enough to carry it; it may come sooner than where it belongs."""
    net, other = Discovery(KEY, 77, []), PortRef(2, 7)
    for dpid in (1, 2):
        net.switch_up(dpid, {2: True, 7: True}, 0.0)
    now = 0.0
    for second in range(1, 20):
        now = float(second)
        frames = dict(net.announcements(now))
        if second > 3:
            assert net.heard(other, frames[A], now) is Rejection.ELSEWHERE
        changes = net.heard(B, frames[A], now)
        assert changes == ([LinkUp(A, B)] if second == 1 else [])
    # A cable that is put elsewhere in earnest: the old end hears no more.
    net.expire(now + 4)
    moved = [net.heard(other, dict(net.announcements(now + n))[A], now + n) for n in range(4, 20)]
    assert [LinkUp(A, other)] in moved and Rejection.ELSEWHERE not in moved


def ports_of(site: Site, dpid: int, *down: int) -> dict[int, bool]:
    ends = [end for one in site.links for end in (one.a, one.b)]
    attached = [p for access in site.access_networks for p in access.ports]
    attached += [p for gateway in site.gateways for p in gateway.ports]
    attached += [mcp.inside for mcp in site.mcps]
    return {p.port: p.port not in down for p in (*ends, *attached) if p.dpid == dpid}


def graph_has(driver: Driver, port: PortRef) -> bool:
    return bool(driver.engine.graph.links_at(port))


@pytest.fixture
def declared() -> Driver:
    """A site that declares its links."""
    return Driver(replace(off_path_site(), discover=False))


def test_what_a_declared_links_port_did_while_its_switch_was_away_counts(declared: Driver) -> None:
    one = declared.site.links[0].a
    declared.give(SwitchDown(one.dpid))
    declared.give(SwitchUp(one.dpid, ports_of(declared.site, one.dpid, one.port)))
    assert not graph_has(declared, one)
    declared.give(SwitchDown(one.dpid))
    declared.give(SwitchUp(one.dpid, ports_of(declared.site, one.dpid)))
    assert graph_has(declared, one)


def test_a_declared_link_counts_when_both_of_its_ends_are_up(declared: Driver) -> None:
    link = declared.site.links[0]
    declared.give(PortStatus(link.a.dpid, link.a.port, False))
    declared.give(PortStatus(link.b.dpid, link.b.port, False))
    declared.give(PortStatus(link.a.dpid, link.a.port, True))
    assert not graph_has(declared, link.a)
    declared.now += STEADY + 0.1
    declared.give(PortStatus(link.b.dpid, link.b.port, True))
    declared.now += STEADY + 0.1
    declared.give(Tick())
    assert graph_has(declared, link.a)


def test_a_loss_that_both_ends_tell_of_is_one(declared: Driver) -> None:
    link = declared.site.links[0]
    for up in (False, True):
        for end in (link.a, link.b):
            declared.give(PortStatus(end.dpid, end.port, up))
    declared.give(Tick())
    assert graph_has(declared, link.a), "it does not come and go: it came back once"


def test_a_port_that_flaps_ten_times_a_second_counts_again_when_it_is_steady(declared: Driver) -> None:
    link = declared.site.links[0]
    followed = 0
    for _ in range(30):
        declared.give(PortStatus(link.a.dpid, link.a.port, False))
        declared.now += 0.05
        declared.give(Tick())
        declared.give(PortStatus(link.a.dpid, link.a.port, True))
        followed += graph_has(declared, link.a)
        declared.now += 0.05
        declared.give(Tick())
    assert followed <= 1  # the first loss was none of a flapping link
    declared.now += STEADY + 0.1
    declared.give(Tick())
    assert graph_has(declared, link.a)


def test_a_port_whose_first_status_says_what_was_known_changes_nothing(declared: Driver) -> None:
    link = declared.site.links[0]
    declared.give(PortStatus(link.a.dpid, link.a.port, True))
    assert graph_has(declared, link.a)
    declared.give(LinkDown(link.a, PortRef(9, 9)))
    assert graph_has(declared, link.a)


def test_an_mcp_whose_port_went_down_while_its_switch_was_away_gets_no_session() -> None:
    driver = Driver()
    (mcp,) = [one for one in driver.site.mcps if one.name == "core"]
    others = [one.id for one in driver.site.mcps if one.id != mcp.id]
    driver.give(SwitchDown(mcp.inside.dpid))
    driver.up(mcp.inside.dpid)
    driver.give(SwitchDown(mcp.inside.dpid))
    driver.give(SwitchUp(mcp.inside.dpid, ports_of(driver.site, mcp.inside.dpid, mcp.inside.port)))
    outputs = driver.syn(2, 1, capable(UE_WLAN, 40001))
    chosen = {s.mcp for s in driver.table}
    assert chosen <= set(others)
    assert chosen or any(isinstance(o, Release) for o in outputs)


def without(site: Site, port: PortRef) -> dict[int, bool]:
    """The ports of a switch after one was removed."""
    return {number: up for number, up in ports_of(site, port.dpid).items() if number != port.port}


def test_a_switch_that_comes_back_without_a_port_has_no_link_there(declared: Driver) -> None:
    """Its ports got other numbers, or a card was taken out."""
    one = declared.site.links[0].a
    for _ in range(2):
        declared.now += 60
        declared.give(SwitchDown(one.dpid))
        declared.give(SwitchUp(one.dpid, without(declared.site, one)))
        assert not graph_has(declared, one)
        declared.up(one.dpid)
        assert graph_has(declared, one)


def test_a_link_of_the_site_file_is_down_while_its_switch_has_no_such_port() -> None:
    """A wrong number in the file, or ports that got other numbers before the controller was started."""
    site = replace(off_path_site(), discover=False)
    engine, one = Engine(site, Policy(), epoch=7), site.links[0].a
    assert engine.graph.links_at(one), "it is believed until its switch connects"
    engine.handle(SwitchUp(one.dpid, without(site, one)), 1.0)
    assert not engine.graph.links_at(one)
    engine.handle(PortStatus(one.dpid, one.port, True), 2.0)
    assert engine.graph.links_at(one)


def test_a_link_does_not_come_back_while_the_port_at_its_other_end_does_not_exist(declared: Driver) -> None:
    link = declared.site.links[0]
    declared.give(PortStatus(link.a.dpid, link.a.port, False, True))
    for up in (False, True):
        declared.now += 60
        declared.give(PortStatus(link.b.dpid, link.b.port, up))
        declared.give(Tick())
        assert not graph_has(declared, link.a)
    declared.give(PortStatus(link.a.dpid, link.a.port, True))
    assert graph_has(declared, link.a)


def test_an_mcp_whose_port_is_no_more_when_its_switch_comes_back_gets_no_session() -> None:
    driver = Driver()
    mcp = driver.site.mcps[0]
    driver.give(SwitchDown(mcp.inside.dpid))
    driver.give(SwitchUp(mcp.inside.dpid, without(driver.site, mcp.inside)))
    assert driver.engine.chooser.excluded[mcp.id] is FilterReason.DOWN
