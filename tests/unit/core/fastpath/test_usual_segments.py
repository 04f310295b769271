"""Usual segments are handled in one go, without the handlers; those that are not usual come to the handlers."""

import pytest

from steering.core.inputs import SynAckSeen, SynSeen
from steering.core.outputs import Output
from steering.core.sessions.flow_key import flow_key
from steering.core.sessions.records import Session
from steering.model.ids import read_token
from steering.model.session import SessionState
from steering.model.usual_segment import UsualJoin, UsualSyn, UsualSynAck
from tests.support.sites import KEY, SERVER, TOKEN, UE_LTE, UE_WLAN, Driver, capable, packed, steered


class Handlers:
    """What came to the handlers."""

    def __init__(self) -> None:
        self.came: list[SynSeen | SynAckSeen] = []

    def syn(self, seen: SynSeen, now: float) -> list[Output]:
        self.came.append(seen)
        return []

    def syn_ack(self, seen: SynAckSeen, now: float) -> list[Output]:
        self.came.append(seen)
        return []

    def learnt(self, token: int, now: float) -> list[Output]:
        return []


@pytest.fixture
def handlers(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    made = Handlers()
    monkeypatch.setattr(driver.engine.sessions.usual, "_dispatcher", made)
    return made


@pytest.fixture
def driver() -> Driver:
    return Driver()


def key_of(host: str, port: int = 40_000, service: int = 5201):
    return flow_key(packed(host), packed(SERVER), port, service)


def set_up(driver: Driver) -> Session:
    key, frame = key_of(UE_LTE), driver.frame(capable(UE_LTE, 40_000))
    (steer,) = driver.give(UsualSyn(1, 1, key, 1000, 1, frame))
    assert steer.release is not None and steer.release.frame == frame and len(steer.entries) == 2
    session = driver.table.flows[key].session
    place = driver.engine.map.inside[session.mcp].port
    driver.give(UsualSynAck(place.dpid, place.port, key, 1001, 1, KEY, frame))
    return session


def test_a_set_up_and_a_join_need_no_handler(driver: Driver, handlers: Handlers) -> None:
    session = set_up(driver)
    token = read_token(TOKEN, "big")
    assert (session.state, session.token) == (SessionState.ANSWERED, token)
    frame = driver.frame(capable(UE_WLAN, 50_000))
    outputs = driver.give(UsualJoin(2, 1, key_of(UE_WLAN, 50_000), 7, token, 3, True, frame))
    assert steered(outputs).entries[0].waypoint == session.subflows[0].waypoint
    assert (session.state, session.subflows[1].address_id) == (SessionState.ESTABLISHED, 3)
    assert not handlers.came


@pytest.mark.parametrize("dpid", [1, 9])
def test_what_is_not_usual_comes_to_the_handlers_and_changes_nothing(
    driver: Driver, handlers: Handlers, dpid: int
) -> None:
    frame = driver.frame(capable(UE_LTE, 40_000))
    set_up(driver)
    known, counted = len(driver.table), driver.counters.sessions_started
    driver.give(UsualSyn(dpid, 1, key_of(UE_LTE), 2000, 1, frame))  # a pin is there, or no port
    driver.give(UsualSyn(dpid, 1, flow_key(packed(UE_LTE), packed("10.2.0.9"), 1, 2), 1, 1, frame))
    driver.give(UsualJoin(dpid, 1, key_of(UE_LTE, 41_000), 7, 12345, 3, False, frame))  # nobody's token
    driver.give(
        UsualJoin(1, 1, key_of(UE_LTE, 41_000, 80), 7, read_token(TOKEN, "big"), 3, False, frame)
    )  # elsewhere
    driver.give(UsualSynAck(3, 1, key_of(UE_LTE), 1001, 1, KEY, frame))  # repeated
    assert len(handlers.came) == 5
    assert (len(driver.table), driver.counters.sessions_started) == (known, counted)


def test_a_negative_control_has_all_segments_come_to_the_handlers() -> None:
    driver = Driver(disabled=("idle-pins",))
    made = Handlers()
    driver.engine.sessions.usual._dispatcher = made  # type: ignore[assignment]
    driver.give(UsualSyn(1, 1, key_of(UE_LTE), 1000, 1, driver.frame(capable(UE_LTE, 40_000))))
    assert len(made.came) == 1
