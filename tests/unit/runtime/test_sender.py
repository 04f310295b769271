"""Order on the wire: barriers before releases, stages of a fill, reading back, and every bound and time-out."""

import struct
from dataclasses import replace

import pytest

from steering.core.counters import Counters
from steering.core.inputs import ChannelProved, Confirmed, EntriesRead
from steering.core.outputs import (
    FillSwitch,
    GoOn,
    ProveChannel,
    ReadEntries,
    Release,
    RemoveEntries,
    RenewRules,
    SendFrame,
    Steer,
    SweepEntries,
    SyncRules,
)
from steering.model.rules import (
    GROUP_BASE,
    Bucket,
    FailoverGroup,
    MeterBand,
    OutputAction,
    Rule,
    host_cookie,
    static_cookie,
)
from steering.model.session import Entry, EntryKind, Refusal, pack_cookie, unpack_cookie
from steering.openflow import sender, switch_filler
from steering.openflow.encode import GROUP_MOD, delete_by_cookie, flow_mod, group_mod
from steering.openflow.groupdesc import parse as parse_groups
from steering.openflow.reader import Disconnect
from steering.openflow.sender import BARRIER_TIMEOUT, LIMIT, PROOF_TIMEOUT, Sender
from steering.openflow.templates import entry_add, entry_delete, release
from tests.support.fakes.rawswitch import BARRIER_REQUEST, FLOW_MOD, METER_MOD, PACKET_OUT, read_packet_out
from tests.support.sites import TOKEN, UE_LTE, Driver, answer, capable

COOKIE = pack_cookie(EntryKind.INITIAL, 0, 7, 0x11223344)


def entry(dpid: int, sport: int = 1000) -> Entry:
    return Entry(dpid, 1, 4, b"\x0a\1\0\2", b"\x0a\x09\0\2", sport, 443, 99, 0, COOKIE)


def held(dpid: int = 1) -> Release:
    return Release(dpid, 1, b"a frame", 99, 0, 1)


def rule(table: int, priority: int = 1) -> Rule:
    return Rule(table, priority, (("eth_type", 0x0800),), cookie=static_cookie(5))


class Line:
    """A switch that keeps what it was sent."""

    def __init__(self) -> None:
        self.data = b""
        self.reason: Disconnect | None = None

    def write(self, data: bytes) -> None:
        self.data += data

    def disconnect(self, reason: Disconnect) -> None:
        self.reason = reason

    def take(self) -> list[tuple[int, int, bytes]]:
        """(type, xid, bytes) of the messages since the last call."""
        found, data, self.data = [], self.data, b""
        while data:
            _, kind, length, xid = struct.unpack_from(">BBHI", data)
            found.append((kind, xid, data[:length]))
            data = data[length:]
        return found

    def kinds(self) -> list[int]:
        return [kind for kind, _, _ in self.take()]


class Bench:
    def __init__(self, *dpids: int) -> None:
        self.lines = {dpid: Line() for dpid in dpids}
        self.counters = Counters()
        self.fed: list[object] = []
        self.sender = Sender(self.lines, self.counters, self.fed.append)

    def do(self, *outputs: object, now: float = 0.0) -> None:
        self.sender.execute(list(outputs), now)  # type: ignore[arg-type]
        self.sender.end_batch(now)

    def confirm(self, dpid: int, now: float = 0.1) -> list[tuple[int, int, bytes]]:
        """Answer the barriers among a switch's messages; the messages."""
        found = self.lines[dpid].take()
        for kind, xid, _ in found:
            if kind == BARRIER_REQUEST:
                self.sender.barrier_reply(dpid, xid, now)
        return found

    @property
    def refused(self) -> int:
        return self.counters.refusals[Refusal.BARRIER_TIMEOUT]


def test_a_local_steer_is_one_write_in_order_and_no_barrier() -> None:
    bench = Bench(1)
    bench.do(Steer((entry(1), entry(1, 1001)), held()))
    assert bench.lines[1].data == entry_add(entry(1)) + entry_add(entry(1, 1001)) + release(held())
    assert bench.sender.pending == 0 and bench.counters.flow_mods == 2


def test_far_entries_are_confirmed_before_the_local_part_goes() -> None:
    bench = Bench(1, 4, 5)
    bench.do(Steer((entry(4), entry(5), entry(1)), held()))
    assert not bench.lines[1].data
    assert [kind for kind, _, _ in bench.confirm(4)] == [FLOW_MOD, BARRIER_REQUEST]
    assert not bench.lines[1].data, "one of two is not all"
    bench.confirm(5)
    assert bench.lines[1].data == entry_add(entry(1)) + release(held())
    assert bench.sender.pending == 0


def test_a_segment_that_is_held_at_a_switch_which_changed_hands_is_not_let_go() -> None:
    bench = Bench(1, 4)
    bench.do(Steer((entry(4), entry(1)), held()))
    bench.sender.switch_down(1)
    bench.confirm(4)
    assert not bench.lines[1].data, "the line may be there still: another controller decides at its switch"
    assert bench.sender.pending == 0 and bench.refused == 1


def test_a_batch_shares_one_barrier_for_each_switch() -> None:
    bench = Bench(1, 4)
    bench.do(*(Steer((entry(4, port), entry(1, port)), held()) for port in range(1, 4)))
    assert [kind for kind, _, _ in bench.confirm(4)] == [FLOW_MOD] * 3 + [BARRIER_REQUEST]
    assert bench.lines[1].kinds() == [FLOW_MOD, PACKET_OUT] * 3


def test_a_barrier_that_does_not_come_drops_the_segment_and_counts_it() -> None:
    bench = Bench(1, 4)
    bench.do(Steer((entry(4), entry(1)), held()), now=10.0)
    bench.sender.expire(10.0 + BARRIER_TIMEOUT - 0.01)
    assert bench.refused == 0
    bench.sender.expire(10.0 + BARRIER_TIMEOUT)
    assert bench.refused == 1 and bench.sender.pending == 0
    bench.confirm(4, now=12.0)
    assert not bench.lines[1].data, "too late is too late"


def test_a_switch_that_goes_away_releases_its_waiters() -> None:
    bench = Bench(1, 4, 5)
    bench.do(Steer((entry(4), entry(5), entry(1)), held()))
    bench.sender.switch_down(4)
    assert bench.refused == 1 and bench.sender.pending == 0
    bench.confirm(5)
    assert not bench.lines[1].data


def test_a_switch_that_goes_away_within_the_batch_releases_its_waiters() -> None:
    bench = Bench(1, 4)
    bench.sender.execute([Steer((entry(4), entry(1)), held())], 0.0)
    del bench.lines[4]
    bench.sender.switch_down(4)
    bench.sender.end_batch(0.0)
    assert bench.refused == 1 and bench.sender.pending == 0


def test_entries_for_a_switch_that_is_not_there_hold_the_segment_back() -> None:
    bench = Bench(1)
    bench.do(Steer((entry(4), entry(1)), held()))
    assert not bench.lines[1].data and bench.refused == 1


def test_the_number_of_waiting_segments_is_bounded() -> None:
    bench = Bench(1, 4)
    bench.do(*(Steer((entry(4, n % 60_000),), held()) for n in range(LIMIT + 5)))
    assert bench.sender.pending == LIMIT and bench.refused == 5
    bench.confirm(4)
    assert bench.sender.pending == 0


def test_a_barrier_reply_nobody_waits_for_is_ignored() -> None:
    bench = Bench(1)
    bench.sender.barrier_reply(1, 12345, 0.0)
    bench.sender.barrier_reply(9, 12345, 0.0)
    assert not bench.lines[1].data


def test_a_channel_is_proved_by_one_barrier_at_a_time_and_only_by_that_one() -> None:
    bench = Bench(1, 4)
    bench.do(SendFrame(1, 7, b"a question"), ProveChannel(1), ProveChannel(1), ProveChannel(9))
    (_, first), (kind, xid) = [(kind, xid) for kind, xid, _ in bench.lines[1].take()]
    assert kind == BARRIER_REQUEST, "behind the question, and once"
    bench.sender.barrier_reply(4, xid, 0.1)
    bench.sender.barrier_reply(1, first, 0.1)
    assert not bench.fed
    bench.sender.barrier_reply(1, xid, 0.1)
    assert bench.fed == [ChannelProved(1, 0.0)]
    bench.do(ProveChannel(1))
    bench.confirm(1)
    assert bench.fed == 2 * [ChannelProved(1, 0.0)]


def test_a_proof_that_took_long_proves_nothing_and_without_any_the_switch_is_given_up() -> None:
    bench = Bench(1)
    bench.do(ProveChannel(1))
    bench.confirm(1, now=BARRIER_TIMEOUT + 0.1)
    assert not bench.fed
    bench.do(ProveChannel(1), now=2.0)
    bench.sender.expire(2.0 + PROOF_TIMEOUT - 0.1)
    assert bench.lines[1].reason is None
    bench.sender.expire(2.0 + PROOF_TIMEOUT)
    assert bench.lines[1].reason is Disconnect.BARRIER_TIMEOUT


def test_a_switch_that_went_away_and_came_back_is_asked_anew() -> None:
    bench = Bench(1)
    bench.do(ProveChannel(1))
    ((_, old, _),) = bench.lines[1].take()
    bench.sender.switch_down(1)
    bench.do(ProveChannel(1))
    bench.sender.barrier_reply(1, old, 0.1)
    assert not bench.fed
    bench.confirm(1)
    assert bench.fed == [ChannelProved(1, 0.0)]


def test_a_repeated_syn_that_waits_longer_than_the_first_ones_answer_leaves_the_token_in_place() -> None:
    driver, bench = Driver(), Bench(1, 3, 4)
    opening = capable(UE_LTE, 40000)
    for now in (0.0, 0.4):
        bench.do(*driver.syn(1, 1, opening), now=now)
    first, second = [xid for kind, xid, _ in bench.lines[4].take() if kind == BARRIER_REQUEST]
    bench.sender.barrier_reply(4, first, 0.5)
    bench.do(*driver.syn_ack(3, 1, answer(opening)), now=0.6)
    bench.sender.barrier_reply(4, second, 0.7)
    written = bench.lines[1].take()
    assert [kind for kind, _, _ in written].count(PACKET_OUT) == 2, "both SYNs went on"
    mods = (int.from_bytes(data[8:16], "big") for kind, _, data in written if kind == FLOW_MOD)
    cookies = [cookie for cookie in map(unpack_cookie, mods) if cookie is not None]
    assert cookies[0].pending and cookies[-1].token == int.from_bytes(TOKEN, "big")


def test_a_steer_without_release_just_adds() -> None:
    bench = Bench(1, 4)
    bench.do(Steer((entry(4), entry(1)), None))
    assert (bench.lines[1].kinds(), bench.lines[4].kinds()) == ([FLOW_MOD], [FLOW_MOD])


def test_the_other_outputs() -> None:
    bench = Bench(1)
    bench.do(held(), RemoveEntries((entry(1),)), SendFrame(1, 7, b"hello"), SendFrame(9, 7, b"nowhere"))
    first, second, third = bench.lines[1].take()
    assert first[2] == release(held()) and second[2] == entry_delete(entry(1))
    out = read_packet_out(third[2])
    assert out.frame == b"hello" and struct.unpack(">HHIH6x", out.actions) == (0, 16, 7, 0)


def test_many_removals_go_in_chunks() -> None:
    bench = Bench(1)
    bench.do(RemoveEntries(tuple(entry(1, port) for port in range(1, 2_102))))
    sizes = []
    while bench.lines[1].data:
        sizes.append(len(tables(bench.confirm(1))))
    assert sizes == [1_000, 1_000, 101] and bench.counters.flow_mods == 2_101


# ---- filling -----------------------------------------------------------------------------------

FILL = FillSwitch(
    1, (MeterBand(1, 10, 1),), (rule(4), rule(5)), (entry(1),), (entry(1, 9),), (rule(0), rule(3)), 5
)


def tables(messages: list[tuple[int, int, bytes]]) -> list[int]:
    return [data[24] for kind, _, data in messages if kind == FLOW_MOD]


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


# ---- reading back ------------------------------------------------------------------------------


def stats(cookie: int, table: int) -> bytes:
    """An entry of a flow-stats answer, with an empty match."""
    return struct.pack(">HBxIIHHHH4xQQQHH4x", 56, table, 1, 0, 1, 0, 0, 0, cookie, 3, 300, 1, 4)


def multipart(xid: int, body: bytes, more: int = 0, kind: int = 1) -> bytes:
    return struct.pack(">BBHIHH4x", 4, 19, 16 + len(body), xid, kind, more) + body


def test_an_answer_in_parts_becomes_one_input() -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1))
    _, (_, xid, _) = bench.lines[1].take()  # behind the question for groups
    bench.sender.readback.part(1, xid, multipart(xid, b"", more=1), 1.0)
    assert not bench.fed
    bench.sender.readback.part(1, xid, multipart(xid, b""), 2.0)
    assert bench.fed == [EntriesRead(1, [], [])]
    bench.sender.readback.part(1, xid, multipart(xid, b""), 3.0)
    assert len(bench.fed) == 1, "the end of an answer is its end"


def test_what_was_not_asked_for_is_ignored() -> None:
    bench = Bench(1)
    bench.do(SweepEntries(1))
    ((_, xid, _),) = bench.lines[1].take()
    bench.sender.readback.part(1, xid + 1, multipart(xid + 1, b""), 1.0)
    bench.sender.readback.part(1, xid, multipart(xid, b"", kind=13), 1.0)
    bench.sender.readback.part(1, xid, b"\4\x13\0\x08\0\0\0\0", 1.0)
    assert not bench.fed and bench.lines[1].reason is None


@pytest.mark.parametrize("body", [b"\0", stats(static_cookie(1), 0)[:-1], b"\0\1" + bytes(60)])
def test_a_malformed_answer_ends_the_connection(body: bytes) -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1))
    _, (_, xid, _) = bench.lines[1].take()  # behind the question for groups
    bench.sender.readback.part(1, xid, multipart(xid, body), 1.0)
    assert bench.lines[1].reason is Disconnect.BAD_ENTRIES and not bench.fed


def test_no_answer_ends_the_connection() -> None:
    bench = Bench(1)
    bench.do(ReadEntries(1), now=0.0)
    bench.sender.expire(29.9)
    assert bench.lines[1].reason is None
    bench.sender.expire(30.0)
    assert bench.lines[1].reason is Disconnect.READ_TIMEOUT


def test_xids_stay_in_the_upper_half_and_differ() -> None:
    xids = sender._xids()
    first = [next(xids) for _ in range(1000)]
    assert len(set(first)) == 1000 and all(0x8000_0000 <= xid <= 0xFFFF_FFFF for xid in first)


def test_the_wish_to_go_on_is_passed_on() -> None:
    wished: list[None] = []
    made = Sender({}, Counters(), lambda given: None, go_on=lambda: wished.append(None))
    made.execute([GoOn()], 0.0)
    assert len(wished) == 1


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
