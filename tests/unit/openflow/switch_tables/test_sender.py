"""Order on the wire: barriers before releases, changes that are confirmed, and every bound and time-out."""

import struct

from steering.core.counters import Counters
from steering.core.inputs import ChannelProved
from steering.core.outputs import GoOn, ProveChannel, RemoveEntries, SendFrame, Steer
from steering.model.session import unpack_cookie
from steering.openflow.messages.reader import Disconnect
from steering.openflow.messages.templates import entry_add, entry_delete, release
from steering.openflow.switch_tables import sender
from steering.openflow.switch_tables.sender import BARRIER_TIMEOUT, LIMIT, PROOF_TIMEOUT, Sender
from tests.support.fakes.rawswitch import BARRIER_REQUEST, FLOW_MOD, PACKET_OUT, read_packet_out
from tests.support.sender_bench import Bench, entry, held, tables
from tests.support.sites import TOKEN, UE_LTE, Driver, answer, capable


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


def test_xids_stay_in_the_upper_half_and_differ() -> None:
    xids = sender._xids()
    first = [next(xids) for _ in range(1000)]
    assert len(set(first)) == 1000 and all(0x8000_0000 <= xid <= 0xFFFF_FFFF for xid in first)


def test_the_wish_to_go_on_is_passed_on() -> None:
    wished: list[None] = []
    made = Sender({}, Counters(), lambda given: None, go_on=lambda: wished.append(None))
    made.execute([GoOn()], 0.0)
    assert len(wished) == 1
