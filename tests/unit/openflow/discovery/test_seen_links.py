"""How many different links are ever believed."""

from typing import Any

import pytest

from steering.core.inputs import LinkUp
from steering.model.ids import DatapathId
from steering.model.network import PortRef
from steering.openflow.discovery import seen_links
from steering.openflow.discovery.link_discovery import Discovery, Rejection
from tests.support.announced_links import KEY

ANNOUNCED = PortRef(1, 1)  # of a named switch; 1 and 2 are named


def network(**options: Any) -> Discovery:
    made = Discovery(KEY, 77, [], interval=1.0, named=[DatapathId(1), DatapathId(2)])
    made.switch_up(1, {1: True, 2: True}, 0.0)
    made.switch_up(2, {1: True, 2: True}, 0.0)
    return made


def relayed(made: Discovery, near: PortRef, far: PortRef, now: float) -> Any:
    """Somebody carries the announcement of one port to another one."""
    return made.heard(far, dict(made.announcements(now))[near], now)


@pytest.mark.row("N-7.2a")
def test_strangers_that_come_with_ever_new_ids_grow_nothing_and_take_no_named_switch_its_links(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seen_links, "MOST_OF_STRANGERS", 10)
    made = network()
    answers, now = [], 0.0
    for number in range(40):
        near, far = PortRef(1_000 + number, 1), PortRef(2_000 + number, 1)
        for port in (near, far):
            made.switch_up(port.dpid, {1: True}, now)
        now += 1.0
        answers.append(relayed(made, near, far, now))
        for port in (near, far):
            made.switch_down(port.dpid)
        now += 100.0
        made.expire(now)
    assert [LinkUp(PortRef(1_009, 1), PortRef(2_009, 1))] in answers
    assert answers[10:] == [Rejection.TOO_MANY] * 30
    assert len(made._links) == 10 and not made._outliers._links
    # Between a stranger and a named switch neither, and between named ones as ever.
    made.switch_up(3, {1: True}, now)
    assert relayed(made, PortRef(3, 1), ANNOUNCED, now + 1) is Rejection.TOO_MANY
    assert relayed(made, ANNOUNCED, PortRef(3, 1), now + 2) is Rejection.TOO_MANY
    assert relayed(made, ANNOUNCED, PortRef(2, 1), now + 3) == [LinkUp(ANNOUNCED, PortRef(2, 1))]


def test_a_link_of_a_stranger_that_was_seen_comes_back_at_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_links, "MOST_OF_STRANGERS", 1)
    made = network()
    made.switch_up(3, {1: True, 2: True}, 0.0)
    assert relayed(made, PortRef(3, 1), ANNOUNCED, 1.0) == [LinkUp(PortRef(3, 1), ANNOUNCED)]
    assert relayed(made, PortRef(3, 2), PortRef(1, 2), 2.0) is Rejection.TOO_MANY
    assert made.port_status(PortRef(3, 1), False)
    made.port_status(PortRef(3, 1), True)
    found = [relayed(made, PortRef(3, 1), ANNOUNCED, 3.0 + n) for n in range(8)]
    assert [LinkUp(PortRef(3, 1), ANNOUNCED)] in found


def test_a_named_switch_that_invents_ports_is_bounded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_links, "MOST_OF_SWITCH", 5)
    made, found, now = network(), [], 0.0
    for number in range(1, 30):
        made.port_status(PortRef(1, number - 1), False)
        made.port_status(PortRef(1, number), True)
        now += 1.0
        found.append(relayed(made, PortRef(1, number), PortRef(2, 2), now))
    assert found.count(Rejection.TOO_MANY) == 29 - 5 and len(made._links) == 5
    assert relayed(made, PortRef(2, 1), PortRef(1, 29), now + 1) == [LinkUp(PortRef(2, 1), PortRef(1, 29))]
