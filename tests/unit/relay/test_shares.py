"""Shares of accesses: who is limited to what, in which table, and when it is written anew."""

import json

import pytest

from steering.relay.commands import RuleError
from steering.relay.pathmanager import Subflow
from steering.relay.shares import (
    LEAST_RATE,
    MOST,
    PERIOD,
    TABLE,
    TRIM,
    TRIMS,
    Share,
    Shares,
    ruleset,
    sessions,
    wanted,
)

LTE = Subflow(7, "10.9.0.2", 80, "10.1.0.2", 40000)
WLAN = Subflow(7, "10.9.0.2", 80, "10.2.0.2", 40001)
SIX = Subflow(7, "fd00:9::2", 80, "fd00:1::2", 40002)
PAIR = [(LTE, 3), (WLAN, 1)]


class Nft:
    """Counts as told, and keeps the tables it was given."""

    def __init__(self) -> None:
        self.tables: list[str] = []
        self.lines: list[str] = []
        self.bytes: dict[str, int] = {}
        self.fails = False

    def __call__(self, line: str, text: str | None) -> str | None:
        if self.fails:
            raise RuleError("no")
        self.lines.append(line)
        if text is not None:
            self.tables.append(text)
        rows = [{"counter": {"name": name, "bytes": n}} for name, n in self.bytes.items()]
        return json.dumps({"nftables": [{"metainfo": {}}, *rows]})


def shares_of(text: str) -> dict[str, int]:
    """Chain -> its limit."""
    lines = [line.split() for line in text.splitlines() if "limit rate over" in line]
    return {line[1]: int(line[line.index("over") + 1]) for line in lines}


def test_the_greatest_share_is_not_limited_and_the_others_are_to_their_part_of_it():
    three = [Share(WLAN, 1), Share(LTE, 3), Share(SIX, 2)]
    assert wanted(three, [9e9, 3_000_000.0, 0.0]) == [1_000_000, None, 2_000_000]
    assert wanted(three, [None, None, None]) == [None] * 3
    assert wanted([Share(LTE, 1), Share(WLAN, 1)], [1e6, 2e6]) == [None, 1_000_000]


def test_nobody_is_silenced_while_the_greatest_is():
    assert wanted([Share(LTE, 3), Share(WLAN, 1)], [0.0, 5e6]) == [None, LEAST_RATE]


def test_a_session_with_one_share_is_left_alone_and_their_number_is_bounded():
    assert sessions([(LTE, 3)]) == []
    many = [(s._replace(token=n), 1) for n in range(MOST) for s in (LTE, WLAN)]
    assert len(sessions(many)) == MOST


def test_limits_follow_what_was_carried_and_are_only_made_anew_when_off_by_a_lot():
    nft = Nft()
    shares = Shares(nft)
    shares.tick(PAIR, 1.0)
    assert shares_of(nft.tables[-1]) == {}  # nothing is known yet
    nft.bytes = {"up0": 3_000_000, "up1": 3_000_000, "down0": 0, "down1": 0}
    shares.tick(PAIR, 1.5)
    assert len(nft.lines) == 1  # not before its time
    shares.tick(PAIR, 1.0 + PERIOD)
    assert shares_of(nft.tables[-1]) == {"up1": int(TRIM * 1_000_000), "down1": LEAST_RATE}
    nft.bytes = {"up0": 2_900_000, "up1": 950_000}  # counters of a new table begin at nought
    shares.tick(PAIR, 1.0 + 2 * PERIOD)
    assert len(nft.tables) == shares.made == 2
    shares.tick([(LTE, 1), (WLAN, 3)], 1.0 + 3 * PERIOD)
    assert shares_of(nft.tables[-1]) == {}  # other shares: first they show what they can
    nft.bytes = {"up0": 2_000_000, "up1": 1_500_000}
    shares.tick([(LTE, 1), (WLAN, 3)], 1.0 + 4 * PERIOD)
    assert shares_of(nft.tables[-1])["up0"] == int(TRIM * 500_000) and "up1" not in shares_of(nft.tables[-1])
    shares.tick([(LTE, 1)], 1.0 + 5 * PERIOD)
    assert nft.lines[-1] == f"nft delete table inet {TABLE}"
    shares.tick([], 1.0 + 6 * PERIOD)
    shares.stop()
    assert nft.lines.count(nft.lines[-1]) == 1


def test_a_subflow_that_carries_more_than_it_may_is_limited_to_less_within_bounds():
    nft = Nft()
    shares = Shares(nft)
    shares.tick(PAIR, 0.0)
    limits, written = [], 1
    for step in range(1, 9):  # as much as the greatest, whatever the limit
        if len(nft.tables) > written:
            nft.bytes = {}  # a new table counts from nought
        written = len(nft.tables)
        nft.bytes = {name: nft.bytes.get(name, 0) + 3_000_000 for name in ("up0", "up1")}
        shares.tick(PAIR, step * PERIOD)
        limits.append(shares_of(nft.tables[-1])["up1"])
    assert limits[0] == int(TRIM * 1_000_000) and 0 <= limits[-1] - TRIMS[0] * 1_000_000 < 100_000
    assert limits == sorted(limits, reverse=True)


def test_a_refusal_is_told_and_tried_again():
    nft = Nft()
    nft.fails = True
    shares = Shares(nft)
    with pytest.raises(RuleError):
        shares.tick(PAIR, 1.0)
    nft.fails = False
    shares.tick(PAIR, 1.5)
    assert nft.tables == []
    shares.tick(PAIR, 1.0 + PERIOD)
    assert len(nft.tables) == 1


@pytest.mark.parametrize("answer", ["", "[]", '{"nftables": [{"counter": {"name": "up0"}}]}'])
def test_counters_that_are_none_are_a_refusal(answer):
    shares = Shares(lambda line, text: answer)
    shares.tick(PAIR, 1.0)
    with pytest.raises(RuleError):
        shares.tick(PAIR, 9.0)


def test_each_family_is_looked_up_by_its_own_addresses():
    text = ruleset([Share(LTE, 3), Share(SIX, 1)], {})
    assert (
        "ip saddr . tcp sport . ip daddr . tcp dport vmap { 10.1.0.2 . 40000 . 10.9.0.2 . 80 : goto up0 }"
        in text
    )
    assert (
        "ip6 daddr . tcp dport . ip6 saddr . tcp sport vmap { fd00:1::2 . 40002 . fd00:9::2 . 80 : goto down1 }"
        in text
    )
    assert text.startswith(f"table inet {TABLE}\ndelete table inet {TABLE}\n")
