"""How a switch is filled: stage by stage, what waits for it, groups before the rules that use them, and what earlier runs left."""

import struct
from dataclasses import replace

import pytest

from steering.core.inputs import Confirmed
from steering.core.outputs import FillSwitch, ReadEntries, RemoveEntries, RenewRules, Steer, SyncRules
from steering.model.rules import (
    GROUP_BASE,
    Bucket,
    FailoverGroup,
    MeterBand,
    OutputAction,
    host_cookie,
    static_cookie,
)
from steering.openflow.messages.encode import GROUP_MOD, delete_by_cookie, flow_mod, group_mod
from steering.openflow.messages.reader import Disconnect
from steering.openflow.messages.templates import entry_add, entry_delete
from steering.openflow.switch_tables import switch_filler
from steering.openflow.switch_tables.groupdesc import parse as parse_groups
from tests.support.fakes.rawswitch import BARRIER_REQUEST, FLOW_MOD, METER_MOD
from tests.support.sender_bench import COOKIE, Bench, entry, multipart, rule, stats, tables

FILL = FillSwitch(
    1, (MeterBand(1, 10, 1),), (rule(4), rule(5)), (entry(1),), (entry(1, 9),), (rule(0), rule(3)), 5
)


def test_a_fill_goes_stage_by_stage() -> None:
    bench = Bench(1)
    bench.do(FILL)
    stages = []
    while bench.lines[1].data:
        stages.append(bench.confirm(1))
    assert [kind for kind, _, _ in stages[0]] == [METER_MOD, METER_MOD, BARRIER_REQUEST]
    assert [tables(stage) for stage in stages[1:]] == [[4, 5], [1], [0, 3], [1]]
    assert all(stage[-1][0] == BARRIER_REQUEST for stage in stages)
    assert stages[-1][0][2] == entry_delete(entry(1, 9))


def test_a_big_fill_is_cut_into_chunks_of_which_one_is_under_way() -> None:
    bench = Bench(1)
    entries = tuple(entry(1, port) for port in range(1, 2_501))
    bench.do(FillSwitch(1, (), (), entries, (), (), 5))
    sizes = []
    while bench.lines[1].data:
        sizes.append(len(tables(bench.confirm(1))))
    assert sizes == [switch_filler.ENTRIES, switch_filler.ENTRIES, 500]


def test_a_fill_does_not_undo_what_happened_meanwhile() -> None:
    bench = Bench(1)
    bench.do(FILL)
    newer = entry(1)._replace(cookie=COOKIE + 1)
    bench.do(Steer((newer,), None), RemoveEntries((entry(1, 9),)))
    sent = []
    while bench.lines[1].data:
        sent += [data for _, _, data in bench.confirm(1)]
    assert sent.count(entry_add(newer)) == 1 and entry_add(entry(1)) not in sent
    assert sent.count(entry_delete(entry(1, 9))) == 1


def test_rules_of_earlier_runs_are_deleted_by_their_cookies() -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1))
    _, (_, xid, _) = bench.lines[1].take()  # behind the question for groups
    body = b"".join(
        stats(cookie, table)
        for cookie, table in [(static_cookie(4), 0), (static_cookie(5), 0), (host_cookie(3), 5)]
    )
    bench.sender.readback.part(1, xid, multipart(xid, body), 0.0)
    bench.do(FILL._replace(meters=(), forwarding=(), entries=(), admission=(), stale=()))
    mask = 0xFFF0_FFFF_0000_0000
    deletes = [data for kind, _, data in bench.lines[1].take() if kind == FLOW_MOD]
    assert deletes == [delete_by_cookie(static_cookie(4), mask), delete_by_cookie(host_cookie(3), mask)]


def test_changes_of_rules_wait_for_a_fill() -> None:
    bench = Bench(1)
    bench.do(FILL)
    bench.do(SyncRules(1, (rule(2),), (rule(3),)))
    sent = []
    while bench.lines[1].data:
        sent.append(tables(bench.confirm(1)))
    assert sent[-2:] == [[2], [3]]


def test_leases_are_renewed_at_once_whatever_waits() -> None:
    bench = Bench(1)
    bench.do(FILL)
    bench.do(SyncRules(1, (rule(2),), (rule(3),)))
    bench.lines[1].take()
    leased = replace(rule(1), hard_timeout=2)
    bench.do(RenewRules(1, (leased, rule(4))), RenewRules(9, (leased,)))
    assert bench.lines[1].data == flow_mod(leased) + flow_mod(rule(4))
    assert struct.unpack_from(">H", bench.lines[1].data, 28) == (2,)  # ofp_flow_mod.hard_timeout
    assert bench.counters.flow_mods == 2


def test_small_changes_of_rules_go_at_once_adds_first() -> None:
    bench = Bench(1)
    bench.do(SyncRules(1, (rule(2),), (rule(3),)))
    assert bench.lines[1].data == flow_mod(rule(2)) + flow_mod(rule(3), "delete_strict")


def test_a_change_to_be_confirmed_is_told_of_when_all_of_it_is_in_the_switch() -> None:
    bench = Bench(1, 2)
    many = tuple(rule(n) for n in range(switch_filler.RULES + 1))
    bench.do(SyncRules(1, many, (), confirm=7), SyncRules(2, (rule(2),), (rule(3),), confirm=7))
    bench.confirm(1)
    bench.confirm(2)
    assert bench.fed == [], "of the first switch the second part, of the other the deletes are under way"
    bench.confirm(2)
    assert bench.fed == [Confirmed(2, 7)]
    bench.confirm(1)
    assert bench.fed == [Confirmed(2, 7), Confirmed(1, 7)]


def test_of_a_switch_that_goes_away_nothing_is_confirmed() -> None:
    bench = Bench(1)
    bench.do(SyncRules(1, (rule(2),), (), confirm=7))
    bench.sender.switch_down(1)
    bench.confirm(1)
    assert bench.fed == []


def test_a_switch_that_confirms_nothing_is_given_up() -> None:
    bench = Bench(1, 2)
    bench.do(FILL, now=1.0)
    bench.sender.expire(1.0 + switch_filler.CHUNK_TIMEOUT - 0.1)
    assert bench.lines[1].reason is None
    bench.sender.expire(1.0 + switch_filler.CHUNK_TIMEOUT)
    assert bench.lines[1].reason is Disconnect.BARRIER_TIMEOUT and bench.lines[2].reason is None


def test_jobs_behind_a_switch_that_confirms_nothing_are_bounded() -> None:
    bench = Bench(1)
    bench.do(FILL)
    for _ in range(switch_filler.MAX_JOBS):
        bench.do(SyncRules(1, (rule(2),), ()))
    assert bench.lines[1].reason is Disconnect.BACKLOG


FAILOVER = FailoverGroup(GROUP_BASE | 2, (Bucket(2, (OutputAction(2),)),))


def described(*numbers: int) -> bytes:
    return b"".join(struct.pack(">HBxI", 8, 3, number) for number in numbers)


def test_groups_come_before_the_rules_that_use_them() -> None:
    bench = Bench(1)
    bench.do(SyncRules(1, (rule(4),), (rule(5),), groups=(FAILOVER,)))
    assert bench.lines[1].kinds() == [GROUP_MOD, GROUP_MOD, FLOW_MOD, FLOW_MOD]
    bench.do(FILL._replace(groups=(FAILOVER,)))
    stages = []
    while bench.lines[1].data:
        stages.append([kind for kind, _, _ in bench.confirm(1)])
    assert stages[:3] == [
        [METER_MOD, METER_MOD, BARRIER_REQUEST],
        [GROUP_MOD, GROUP_MOD, BARRIER_REQUEST],
        [FLOW_MOD, FLOW_MOD, BARRIER_REQUEST],
    ]


def test_groups_that_an_earlier_controller_left_go_when_no_rule_leads_to_them() -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1))
    (_, xid, _), _ = bench.lines[1].take()
    groups = bench.sender.groups
    assert groups.asked.answers(1, xid, 100, False) and not groups.asked.answers(1, xid, 100, False)
    groups.answer(1, described(FAILOVER.group, GROUP_BASE | 9, 77))  # 77 is somebody else's
    bench.do(FILL._replace(groups=(FAILOVER,)))
    sent = []
    while bench.lines[1].data:
        sent += [data for kind, _, data in bench.confirm(1) if kind != BARRIER_REQUEST]
    assert sent[-1] == group_mod(FailoverGroup(GROUP_BASE | 9, ()), "delete")
    assert sum(data[1] == GROUP_MOD for data in sent) == 3
    groups.answer(1, described(GROUP_BASE | 8))
    assert groups.take(1) == [], "too late"


@pytest.mark.parametrize(
    "body", [b"\0", struct.pack(">HBxI", 7, 3, 1), struct.pack(">HBxI", 64, 3, GROUP_BASE)]
)
def test_a_torn_description_of_a_group_names_none(body: bytes) -> None:
    assert list(parse_groups(described(GROUP_BASE | 5) + body)) == [GROUP_BASE | 5]
