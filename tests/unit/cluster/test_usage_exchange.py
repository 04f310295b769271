"""Quotas of bytes of several controllers: what one has counted is known to all, outlives it, and counts once."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.cluster.usage_exchange import MOST_TEXT, UsageExchange
from steering.core.selection.used_bytes import UseKey, part_of
from steering.model.kept import USAGE_PAIRS, USAGE_PARTS, KeptUsage, KeptUse
from steering.model.network import NetworkAccessType
from steering.store.etcd.access import EtcdError, EtcdFault
from steering.store.etcd.watch import KeyChange
from steering.store.kept import read_usage, usage_text
from tests.support.fakes.cell_keys import FakeEtcd, FakeKeys
from tests.support.usage_counts import CountingMember

CELLULAR, WLAN = NetworkAccessType.CELLULAR, NetworkAccessType.WLAN
ANNA = ("anna", CELLULAR)
NAMES = ("a", "b", "c")
WHO = ("anna", b"\n\1\0\2", b"\x20\1\x0d\xb8\0\0\0\1")


class LossyKeys(FakeKeys):
    """`loses_answers`: etcd carries out what is asked, and nobody hears of it."""

    loses_answers = False

    def replace(self, key: str, revision: int, text: str) -> int:
        done = super().replace(key, revision, text)
        if self.loses_answers:
            raise EtcdError(EtcdFault.UNREACHABLE, "no answer", True)
        return done


class Run(CountingMember):
    """One run of a controller: it is told, counts and writes, and is its own `UsageCounts`."""

    def __init__(self, etcd: FakeEtcd, name: str) -> None:
        super().__init__(name)
        self.etcd = etcd
        self.keys = LossyKeys(etcd)
        self.exchange = UsageExchange(self.keys, name, self)
        self._known: dict[str, int] = {}

    def hears(self, is_anew: bool = False) -> None:
        """What its watch tells."""
        if self.keys.is_cut:
            return
        now = self.etcd.kept
        changes = [KeyChange(key, None, self.etcd.revision) for key in self._known if key not in now]
        changes += [
            KeyChange(key, *one[:2]) for key, one in now.items() if is_anew or self._known.get(key) != one[1]
        ]
        self._known = {key: one[1] for key, one in now.items()}
        self.exchange.take(changes, is_anew)

    def writes(self) -> None:
        try:
            self.exchange.write()
        except EtcdError:
            assert self.keys.is_cut or self.keys.loses_answers


def recorded(etcd: FakeEtcd, name: str = "") -> Counter[UseKey]:
    """What records in etcd have: of one controller, or of all."""
    found: Counter[UseKey] = Counter()
    for key, one in etcd.kept.items():
        if key.startswith(f"{name}/" if name else ""):
            for use in read_usage(one[0])[0].used:
                found[use.who, NetworkAccessType(use.access_type)] += use.used
    return found


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("counts", "counts", "writes", "hears", "cut", "deaf", "heals", "restarts", "old run writes")
        ),
        st.sampled_from(NAMES),
        st.sampled_from(WHO),
        st.sampled_from((CELLULAR, WLAN)),
        st.integers(1, 1000),
    ),
    max_size=60,
)


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
@given(STEPS)
def test_what_was_written_counts_everywhere_for_ever_and_nothing_counts_twice(steps: list[Any]) -> None:
    """Whatever is lost, cut off, or thaws: `old run` is one that another run under its name has followed."""
    etcd = FakeEtcd()
    runs = {name: Run(etcd, name) for name in NAMES}
    before = dict(runs)
    counted: Counter[UseKey] = Counter()
    lost: Counter[UseKey] = Counter()
    floor: Counter[UseKey] = Counter()
    for what, name, who, kind, size in steps:
        run = runs[name]
        if what == "counts":
            assert run.used.add((who, kind), size)
            counted[who, kind] += size
        elif what == "writes":
            run.writes()
        elif what == "old run writes":
            before[name].writes()
        elif what in ("cut", "deaf", "heals"):
            run.keys.is_cut, run.keys.loses_answers = what == "cut", what == "deaf"
        elif what == "restarts":
            lost.update({(use.who, NetworkAccessType(use.access_type)): use.used for use in run.used.kept()})
            before[name], runs[name] = run, Run(etcd, name)
        else:
            run.hears()
        now = recorded(etcd)
        assert all(now[key] >= floor[key] for key in floor), "what was written is never taken back"
        floor = now
        for one in runs.values():
            assert all(one.used.of(key) <= counted[key] for key in counted), "never more than there was"
    for _ in range(3):
        for run in runs.values():
            run.keys.is_cut = run.keys.loses_answers = False
            run.hears()
            run.writes()
    now = recorded(etcd)
    for run in runs.values():
        run.hears()
        assert not run.used.unwritten()
        assert all(run.used.of(key) == now[key] for key in counted), "all know all of it"
    assert all(counted[key] - lost[key] <= now[key] <= counted[key] for key in counted)


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_each_run_counts_on_from_what_all_before_it_had_counted() -> None:
    """Its state directory is empty each time: there is none."""
    etcd = FakeEtcd()
    for size in (100, 10, 1):
        run = Run(etcd, "a")
        before = recorded(etcd)
        run.used.add(ANNA, size)
        run.writes()
        assert recorded(etcd) == before, "nothing is written before it knows what there is"
        run.hears()
        run.writes()
    assert recorded(etcd, "a")[ANNA] == 111
    fresh, other = Run(etcd, "a"), Run(etcd, "b")
    fresh.hears()
    other.hears()
    assert fresh.used.of(ANNA) == other.used.of(ANNA) == 111


def test_what_etcd_took_without_an_answer_counts_once() -> None:
    etcd = FakeEtcd()
    run = Run(etcd, "a")
    run.hears()
    run.used.add(ANNA, 100)
    run.keys.loses_answers = True
    run.writes()
    assert recorded(etcd)[ANNA] == run.used.of(ANNA) == 100
    run.used.add(ANNA, 5)
    run.writes()  # it does not know what etcd has: what it counted since has to wait
    assert recorded(etcd)[ANNA] == 100 and run.used.of(ANNA) == 105
    run.keys.loses_answers = False
    run.hears()
    assert run.used.of(ANNA) == 105
    run.writes()
    run.hears()
    assert recorded(etcd)[ANNA] == run.used.of(ANNA) == 105


@pytest.mark.row("N-5.6.1k3", "D-6.7.1")
def test_who_deletes_records_has_quotas_begin_anew_at_all_controllers() -> None:
    etcd = FakeEtcd()
    runs = [Run(etcd, name) for name in NAMES]
    for run in runs:
        run.hears()
        run.used.add(ANNA, 100)
        run.writes()
    for run in runs:
        run.hears()
        assert run.used.of(ANNA) == 300
    etcd.kept.clear()
    etcd.revision += 1
    # One counts and writes before it hears of it: what it had counted before does not come back.
    runs[0].used.add(ANNA, 7)
    runs[0].writes()
    assert not etcd.kept
    for _ in range(2):
        for run in runs:
            run.hears()
            run.writes()
    assert [run.used.of(ANNA) for run in runs] == [7, 7, 7] == [recorded(etcd)[ANNA]] * 3


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("old_copy", [False, True])
def test_a_new_etcd_is_told_what_each_had_counted(old_copy: bool) -> None:
    """Nobody has deleted what it lacks. It may have been set up from a copy of before."""
    etcd = FakeEtcd()
    runs = [Run(etcd, name) for name in NAMES]
    for run in runs:
        run.hears()
        run.used.add(ANNA, 40)
        run.writes()
    copied = {key: (text, 1, 0) for key, (text, *_) in etcd.kept.items()} if old_copy else {}
    for run in runs:
        run.used.add(ANNA, 60)
        run.writes()
        run.hears()
    etcd.kept.clear()
    etcd.kept.update(copied)
    etcd.revision = 1
    runs[2].used.add(ANNA, 5)
    runs[2].writes()  # it has not noticed yet
    for run in runs:
        run.hears(is_anew=True)
        run.writes()
    for run in runs:
        run.hears()
        run.writes()
    assert recorded(etcd)[ANNA] == 305
    for run in runs:
        run.hears()
        assert run.used.of(ANNA) == 305


def test_only_what_changed_is_written_and_others_have_their_turn_after_each_record() -> None:
    etcd = FakeEtcd()
    run = Run(etcd, "a")
    run.hears()
    run.writes()
    assert not etcd.kept
    for n in range(512):
        run.used.add((bytes((10, 1, n // 256, n % 256)), CELLULAR), 5)
    calls: list[int] = []
    run.exchange.write(lambda: calls.append(len(etcd.kept)))
    assert calls == list(range(1, len(etcd.kept) + 1)) and len(etcd.kept) > USAGE_PARTS // 3
    before = dict(etcd.kept)
    run.used.add((bytes((10, 1, 0, 7)), CELLULAR), 1)
    run.writes()
    assert sum(before[key] != one for key, one in etcd.kept.items()) == 1
    run.writes()
    run.hears()
    run.writes()
    assert etcd.revision == len(before) + 1
    other = Run(etcd, "b")
    calls.clear()
    other.exchange.take([KeyChange(k, *one[:2]) for k, one in before.items()], False, lambda: calls.append(0))
    assert len(calls) == len(before)


def test_a_round_writes_so_many_bytes_and_the_next_one_goes_on_behind_them() -> None:
    etcd = FakeEtcd()
    run = Run(etcd, "a")
    run.hears()
    for n in range(512):
        run.used.add((bytes((10, 1, n // 256, n % 256)), CELLULAR), 5)
    parts = run.unwritten()
    first = next(use for use in run.used.kept() if part_of((use.who, CELLULAR)) == parts[0])
    for begun in range(0, len(parts), 10):
        most = sum(len(usage_text(KeptUsage(run.record(one), ()))) for one in parts[begun : begun + 10])
        run.exchange.write(most=most)
        assert len(etcd.kept) == min(begun + 10, len(parts))
        run.used.add((first.who, CELLULAR), 1)  # of the part that had its turn first
    assert run.unwritten() == parts[:1]
    run.writes()
    assert not run.unwritten()


@pytest.mark.parametrize(
    "key", ["b", "b/", "b/256", "b/-1", "b/x", "b/1/2", "/1", "../1", "b/001", "b/²", "b/" + "9" * 50]
)
def test_a_key_that_is_none_of_ours_is_passed_over_and_counted(key: str) -> None:
    run = Run(FakeEtcd(), "a")
    run.exchange.take([KeyChange(key, '{"format": 1, "used": [], "flows": []}', 1)], False)
    assert run.exchange.damaged == 1


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", "[]", '{"format": 1, "used": 5, "flows": []}', " " * MOST_TEXT + '{"format": 1, "used": [], "flows": []}',
        *(
            f'{{"format": 1, "used": [["subscriber anna", "cellular", {n}]], "flows": []}}'
            for n in ("-1", "1.5", "1e30", str(2**63 + 1), "null", '"7"')
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_record_that_no_controller_wrote_is_counted_and_gives_nobody_more(name: str, text: str) -> None:
    run = Run(FakeEtcd(), "a")
    part = part_of(ANNA)
    run.exchange.take(
        [KeyChange("c/1", usage_text(KeptUsage((KeptUse("anna", "cellular", 5),), ())), 1)], False
    )
    run.exchange.take([KeyChange(f"{name}/{part}", text, 2)], False)
    assert run.exchange.damaged == 1 and run.used.of(ANNA) == 5


def test_what_was_known_before_a_record_was_damaged_counts_on() -> None:
    run = Run(FakeEtcd(), "a")
    text = usage_text(KeptUsage((KeptUse("anna", "cellular", 5),), ()))
    for name in ("a", "b"):
        run.exchange.take([KeyChange(f"{name}/1", text, 1), KeyChange(f"{name}/1", "?", 2)], False)
    assert run.used.of(ANNA) == 10


def test_a_record_has_at_most_so_many_pairs_and_names_of_any_kind() -> None:
    run = Run(FakeEtcd(), "a")
    uses = tuple(KeptUse(f"who{n}", "cellular", 1) for n in range(USAGE_PAIRS + 3))
    run.exchange.take([KeyChange("b/1", usage_text(KeptUsage(uses, ())), 1)], False)
    assert run.exchange.damaged == 3 and sum(run.used.of((one.who, CELLULAR)) for one in uses) == USAGE_PAIRS
    odd = '{"format": 1, "used": [["subscriber \\ud800", "cellular", 1]], "flows": []}'
    run.exchange.take([KeyChange("b/2", odd, 2)], False)
    assert run.used.of(("\ud800", CELLULAR)) == 1


def test_a_record_that_would_be_too_long_is_not_written_and_counted() -> None:
    etcd = FakeEtcd()
    run = Run(etcd, "a")
    run.hears()
    part = part_of(ANNA)
    long = [
        who
        for who in (f"{n}".zfill(256) for n in range(USAGE_PARTS * 400))
        if part_of((who, CELLULAR)) == part
    ]
    for who in long[:300]:
        run.used.add((who, CELLULAR), 1)
    run.writes()
    assert not etcd.kept and run.exchange.too_large == 1
