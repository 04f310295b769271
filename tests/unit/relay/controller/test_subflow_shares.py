"""Shares of accesses: who carries and who waits, by what was counted, and how it ends."""

import errno
import json

import pytest

from steering.relay.controller.subflow_shares import (
    MOST,
    PERIOD,
    SLACK,
    TABLE,
    SubflowShare,
    SubflowShares,
    ruleset,
    sessions,
    waiting,
)
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.path_manager import KernelSubflow

LTE = KernelSubflow(7, "10.9.0.2", 80, "10.1.0.2", 40000)
WLAN = KernelSubflow(7, "10.9.0.2", 80, "10.2.0.2", 40001)
SIX = KernelSubflow(7, "fd00:9::2", 80, "fd00:1::2", 40002)
PAIR = [(LTE, 3), (WLAN, 1)]


class Machine:
    """Counters of nft, and the priorities told to the kernel."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tables: list[str] = []
        self.bytes: dict[str, int] = {}
        self.told: list[tuple[KernelSubflow, bool]] = []
        self.fails = self.gone = False
        self.shares = SubflowShares(self.run, self.priority)
        self.now = 0.0

    def run(self, line: str, text: str | None) -> str | None:
        if self.fails:
            raise RuleError("no")
        self.lines.append(line)
        if text is not None:
            self.tables.append(text)
            self.bytes = {}
        rows = [{"counter": {"name": name, "bytes": n}} for name, n in self.bytes.items()]
        return json.dumps({"nftables": [{"metainfo": {}}, *rows]})

    def priority(self, subflow: KernelSubflow, waits: bool) -> None:
        if self.gone:
            raise OSError(errno.ESRCH, "gone")
        self.told.append((subflow, waits))

    def tick(self, given=PAIR, **moved: int) -> list[tuple[KernelSubflow, bool]]:
        """What is told at the next look, after so many bytes more."""
        for name, n in moved.items():
            self.bytes[name] = self.bytes.get(name, 0) + n
        before = len(self.told)
        self.now += PERIOD
        self.shares.tick(given, self.now)
        return self.told[before:]


def test_who_had_more_than_its_part_waits_but_never_the_greatest():
    three = [SubflowShare(WLAN, 1), SubflowShare(LTE, 3), SubflowShare(SIX, 2)]
    assert waiting(three, [1e6 + SLACK, 3e6, 2e6 + SLACK]) == [False] * 3
    assert waiting(three, [1e6 + SLACK + 1, 3e6, 0]) == [True, False, False]
    assert waiting(three, [0, 9e9, 0]) == [False] * 3
    assert waiting([SubflowShare(LTE, 1), SubflowShare(WLAN, 1)], [1e6, 2e6]) == [False, True]


def test_a_subflow_waits_for_its_turn_and_directions_count_together():
    machine = Machine()
    assert machine.tick() == [] and len(machine.tables) == 1
    assert machine.tick(up0=300_000, down1=200_000) == [(WLAN, True)]
    assert machine.tick(down0=100_000) == []
    assert machine.tick(up0=300_000) == [(WLAN, False)]
    assert len(machine.tables) == 1 and machine.shares.turns == 2


def test_it_looks_no_more_often_than_it_should():
    machine = Machine()
    machine.tick()
    machine.shares.tick(PAIR, machine.now + PERIOD / 2)
    assert len(machine.lines) == 1


def test_a_simulated_scheduler_ends_at_the_ratio_whichever_way_it_is_turned():
    """Both accesses carry 20 Mbit/s whenever they may, and 0.4 s more when told to wait."""
    machine, step = Machine(), int(20e6 / 8 * PERIOD)
    for given, part in ((PAIR, 0.75), ([(LTE, 1), (WLAN, 3)], 0.25)):
        machine.tick(given)
        had, late = [0, 0], [0, 0]
        for _ in range(100):
            waits = machine.shares._waits
            for n, subflow in enumerate((LTE, WLAN)):
                late[n] = 0 if subflow not in waits else late[n] + 1
            moved = [step if late[n] <= 2 else 0 for n in (0, 1)]
            had = [have + more for have, more in zip(had, moved, strict=True)]
            machine.tick(given, up0=moved[0], up1=moved[1])
        assert had[0] / sum(had) == pytest.approx(part, abs=0.04)


def test_other_shares_begin_anew_and_whoever_waited_carries_at_once():
    machine = Machine()
    machine.tick()
    machine.tick(up1=500_000)
    assert machine.tick([(LTE, 1), (WLAN, 3)]) == [(WLAN, False)]
    machine.tick([(LTE, 1), (WLAN, 3)], up0=500_000)
    assert machine.tick([(LTE, 1)]) == [(LTE, False)]
    assert machine.lines[-1] == f"nft delete table inet {TABLE}"
    machine.tick([])
    machine.shares.stop()
    assert machine.lines.count(machine.lines[-1]) == 1 and len(machine.shares) == 0


def test_a_subflow_that_is_gone_stops_nobody():
    machine = Machine()
    machine.tick()
    machine.gone = True
    assert machine.tick(up1=500_000) == []
    machine.tick([])
    assert machine.shares.turns == 0


def test_a_session_with_one_share_is_left_alone_and_their_number_is_bounded():
    assert sessions([(LTE, 3)]) == []
    many = [(s._replace(token=n), 1) for n in range(MOST) for s in (LTE, WLAN)]
    assert len(sessions(many)) == MOST


def test_a_refusal_is_told_and_tried_again():
    machine = Machine()
    machine.fails = True
    with pytest.raises(RuleError):
        machine.tick()
    machine.fails = False
    machine.shares.tick(PAIR, machine.now)
    assert machine.tables == []
    machine.tick()
    assert len(machine.tables) == 1


@pytest.mark.parametrize("answer", ["", "[]", '{"nftables": [{"counter": {"name": "up0"}}]}'])
def test_counters_that_are_none_are_a_refusal(answer):
    shares = SubflowShares(lambda line, text: answer, lambda subflow, waits: None)
    shares.tick(PAIR, 1.0)
    with pytest.raises(RuleError):
        shares.tick(PAIR, 9.0)


def test_each_family_is_looked_up_by_its_own_addresses():
    text = ruleset([SubflowShare(LTE, 3), SubflowShare(SIX, 1)])
    up = "ip saddr . tcp sport . ip daddr . tcp dport vmap { 10.1.0.2 . 40000 . 10.9.0.2 . 80 : goto up0 }"
    down = "ip6 daddr . tcp dport . ip6 saddr . tcp sport vmap { fd00:1::2 . 40002 . fd00:9::2 . 80 : goto down1 }"
    assert up in text and down in text
    assert text.startswith(f"table inet {TABLE}\ndelete table inet {TABLE}\n")
