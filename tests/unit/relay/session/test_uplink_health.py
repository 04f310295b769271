"""Which uplinks are dialled by, and when one that did not answer is tried again."""

from steering.relay.kernel.uplinks import Uplink
from steering.relay.session.uplink_health import FIRST_S, LONGEST_S, UplinkHealth

DSL = Uplink("dsl0", ("10.1.0.2", "fd00:1::2"))
LTE = Uplink("lte0", ("10.2.0.2", ""))
SAT = Uplink("sat0", ("10.3.0.2", ""))
ALL = (DSL, LTE, SAT)


def order(
    health: UplinkHealth, now: float = 0.0, version: int = 4, down: tuple[str, ...] = ()
) -> tuple[list[str], list[str]]:
    found = health.order(ALL, version, now, lambda interface: interface not in down)
    return [one.interface for one in found.ways], [one.interface for one in found.trials]


def test_the_operators_order_holds_where_nothing_is_known() -> None:
    assert order(UplinkHealth()) == (["dsl0", "lte0", "sat0"], [])
    assert order(UplinkHealth(), version=6) == (["dsl0"], [])


def test_what_has_no_carrier_comes_last_and_is_still_a_way() -> None:
    assert order(UplinkHealth(), down=("dsl0",)) == (["lte0", "sat0", "dsl0"], [])


def test_a_silent_uplink_is_left_and_tried_beside_others_when_its_time_is_over() -> None:
    health = UplinkHealth()
    assert health.silent("dsl0", 4, 100.0)
    assert order(health, 100.1) == (["lte0", "sat0", "dsl0"], [])
    assert order(health, 100.0 + FIRST_S) == (["lte0", "sat0", "dsl0"], ["dsl0"])
    assert order(health, 100.1, version=6) == (["dsl0"], []), "the other family is another matter"
    assert health.answered("dsl0", 4) and not health.answered("dsl0", 4)
    assert order(health, 100.2) == (["dsl0", "lte0", "sat0"], [])


def test_the_time_doubles_with_each_trial_that_fails_up_to_a_bound() -> None:
    health, now, waits = UplinkHealth(), 0.0, []
    for _ in range(9):
        health.silent("dsl0", 4, now)
        began = now
        while not order(health, now)[1]:
            now += 0.5
        waits.append(now - began)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, LONGEST_S, LONGEST_S, LONGEST_S]


def test_a_line_that_is_dead_for_weeks_is_still_tried_once_in_that_time() -> None:
    health, now = UplinkHealth(), 0.0
    for _ in range(20_000):
        health.silent("dsl0", 4, now)
        now += LONGEST_S
    assert order(health, now - 1.0)[1] == [] and order(health, now)[1] == ["dsl0"]


def test_dials_that_were_under_way_together_when_a_line_died_are_one_failure() -> None:
    health = UplinkHealth()
    for number in range(100):
        health.silent("dsl0", 4, 100.0 + number / 1000)
    assert order(health, 100.0 + FIRST_S)[1] == ["dsl0"]


def test_while_one_trial_runs_there_is_no_other() -> None:
    health = UplinkHealth()
    health.silent("dsl0", 4, 0.0)
    assert order(health, 5.0)[1] == ["dsl0"]
    health.tried("dsl0", 4, 6.0)
    assert order(health, 5.5)[1] == [] and order(health, 6.0)[1] == ["dsl0"]


def test_where_all_are_silent_the_one_whose_time_is_over_first_is_a_way() -> None:
    health = UplinkHealth()
    for at, interface in enumerate(("lte0", "sat0", "dsl0")):
        health.silent(interface, 4, float(at))
    assert order(health, 3.0) == (["lte0", "sat0", "dsl0"], [])


def test_another_address_or_carrier_is_another_chance() -> None:
    health = UplinkHealth()
    health.silent("dsl0", 4, 0.0)
    health.silent("dsl0", 6, 0.0)
    assert health.document("dsl0") == ["ipv4", "ipv6"]
    health.forget("dsl0")
    assert health.document("dsl0") == [] and order(health)[0][0] == "dsl0"
