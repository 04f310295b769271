"""The judges of the pinning lab, on made-up evidence: right evidence passes, every kind of wrong one is seen."""

import hashlib
from dataclasses import replace

import pytest

from topologies.campaign.verdicts import only_rates
from topologies.kit.captures import CAPABLE, JOIN, Segment, distinct
from topologies.kit.controller import Controller
from topologies.kit.kernel_counters import CounterChanges, FiveTuple, Subflow, parse_counters, parse_subflows
from topologies.kit.processes import LabError
from topologies.kit.report import Report
from topologies.kit.waiting import until
from topologies.measures.aggregation import settled
from topologies.measures.cpe_transfer import payload
from topologies.measures.pins import capture_view, kernel_view
from topologies.measures.priorities import Priority, WatchedTransfer, expect_priority, fresh

LTE = FiveTuple("10.1.0.2", 40001, "10.9.0.2", 5001)
NATTED = FiveTuple("10.3.0.2", 40002, "10.9.0.2", 5001)
BEYOND_NAT = FiveTuple("10.2.0.9", 61234, "10.9.0.2", 5001)
PLAIN = FiveTuple("10.1.0.2", 50001, "10.9.0.2", 5001)
KEY = "0123456789abcdef"
TOKEN = hashlib.sha256(bytes.fromhex(KEY)).hexdigest()[:8]


def at_host(flow: FiveTuple, join: bool, peer: str) -> Subflow:
    return Subflow(flow, "ESTAB", peer, "aaaaaaaa", join, 0)


def at_mcp(flow: FiveTuple, join: bool, token: str = TOKEN) -> Subflow:
    return Subflow(flow.reversed(), "ESTAB", "00000000", token, join, 0)


HOST = [at_host(LTE, False, "00000000"), at_host(NATTED, True, TOKEN)]
ALPHA = [at_mcp(LTE, False), at_mcp(BEYOND_NAT, True)]


def test_kernel_view_finds_a_pinned_session_behind_a_nat() -> None:
    view = kernel_view({"ue": HOST}, {"alpha": ALPHA, "beta": []}, (5001,))
    assert view.wrong == [] and dict(view.pinned) == {"alpha": [TOKEN]}
    assert {LTE, NATTED, BEYOND_NAT} == view.flows


@pytest.mark.parametrize(
    ("host", "alpha", "beta"),
    [
        (HOST[:1], ALPHA[:1], []),  # the join never came about
        (HOST, ALPHA[:1], [at_mcp(BEYOND_NAT, True)]),  # it is at the other MCP
        ([HOST[0], replace(HOST[1], peer_token="deadbeef")], ALPHA, []),  # it carries another token
        (HOST, [], []),  # no MCP has the session
        (HOST, [*ALPHA, at_mcp(replace(BEYOND_NAT, sport=1), True)], []),  # the MCP has one more
    ],
)
def test_kernel_view_sees_what_is_wrong(
    host: list[Subflow], alpha: list[Subflow], beta: list[Subflow]
) -> None:
    view = kernel_view({"ue": host}, {"alpha": alpha, "beta": beta}, (5001,))
    assert len(view.wrong) == 1 and not any(view.pinned.values())


def test_a_transfer_has_settled_once_host_mcps_and_controller_have_the_join() -> None:
    known = [{"subflows": [vars(one.flow) for one in HOST]}]
    at = {"alpha": ALPHA, "beta": []}
    assert settled(HOST, at, known) and settled(HOST, at, None)
    assert not settled(HOST[:1], {"alpha": ALPHA[:1]}, [{"subflows": [vars(LTE)]}]), "no join yet"
    assert not settled([HOST[0], replace(HOST[1], state="SYN-SENT")], at, known)
    assert not settled(HOST, {"alpha": ALPHA[:1], "beta": []}, known), "the MCP does not have it"
    assert not settled(HOST, at, [{"subflows": [vars(LTE)]}]), "the controller does not"


def segment(
    flow: FiveTuple, flags: int = 0x10, options: tuple[str, ...] = (), token: str = "", key: str = ""
) -> Segment:
    return Segment(0.0, flow, flags, 0, options, token, "", key, 0, "")


FIRST = segment(LTE, 0x02, (CAPABLE,))
SYN_ACK = segment(LTE.reversed(), 0x12, (CAPABLE,), key=KEY)
JOINING = segment(BEYOND_NAT, 0x02, (JOIN,), token=TOKEN)
NATURAL = segment(PLAIN, 0x02)


def test_capture_view_of_a_clean_run() -> None:
    view = capture_view(
        [FIRST, JOINING, NATURAL], {"alpha": [FIRST, SYN_ACK, JOINING], "beta": []}, [NATURAL]
    )
    assert (view.joins, view.natural_seen, view.natural_at_mcps) == (1, 1, 0)
    assert view.mispinned == view.undelivered == view.leaked == []


def test_capture_view_sees_a_join_at_the_other_mcp() -> None:
    view = capture_view([FIRST, JOINING], {"alpha": [SYN_ACK], "beta": [JOINING]}, [])
    assert len(view.mispinned) == 1


def test_capture_view_sees_a_join_at_both_mcps() -> None:
    view = capture_view([FIRST, JOINING], {"alpha": [SYN_ACK, JOINING], "beta": [JOINING]}, [])
    assert len(view.mispinned) == 1


def test_capture_view_sees_a_join_that_nobody_got() -> None:
    view = capture_view([FIRST, JOINING], {"alpha": [SYN_ACK], "beta": []}, [])
    assert len(view.undelivered) == 1 and view.mispinned == []


@pytest.mark.parametrize("stray", [segment(LTE), segment(LTE.reversed()), JOINING, segment(BEYOND_NAT, 0x04)])
def test_capture_view_sees_one_stray_segment(stray: Segment) -> None:
    view = capture_view(
        [FIRST, JOINING, NATURAL], {"alpha": [SYN_ACK, JOINING], "beta": []}, [NATURAL, stray]
    )
    assert len(view.leaked) == 1


def test_capture_view_sees_plain_connections_at_an_mcp() -> None:
    view = capture_view([NATURAL], {"alpha": [NATURAL], "beta": [segment(PLAIN.reversed())]}, [])
    assert view.natural_at_mcps == 2 and view.natural_seen == 0


SS = """\
LISTEN 0 4096 *:5001 *:* tcp-ulp-mptcp flags:m token:0000(id:0)/0000(id:0)
ESTAB 0 0 10.1.0.2:38798 10.9.0.2:5001 bbr bytes_acked:9431458 tcp-ulp-mptcp flags:Mmec token:0000(id:0)/56c8b612(id:0) seq:0
ESTAB 0 0 10.2.0.2%ue-eth1:34127 10.9.0.2:5001 bbr tcp-ulp-mptcp flags:Jjec token:af7e85f2(id:0)/56c8b612(id:1) seq:0
ESTAB 0 0 [::ffff:10.9.0.2]:5001 [::ffff:10.2.0.2]:34127 bbr tcp-ulp-mptcp flags:Jecv token:0000(id:1)/7e85f2(id:0) seq:e
ESTAB 0 0 [fd00:2::2]%ue-eth1:33553 [fd00:9::2]:5001 bbr tcp-ulp-mptcp flags:Jjec token:ff5fec7e(id:0)/9b5c0904(id:1) seq:e
ESTAB 0 0 10.1.0.2:50000 10.9.0.2:22 cubic rto:204
"""


def test_ss_is_read_in_all_its_forms() -> None:
    rows = parse_subflows(SS)
    assert [(r.flow.src, r.join, r.peer_token, r.own_token) for r in rows] == [
        ("10.1.0.2", False, "00000000", "56c8b612"),
        ("10.2.0.2", True, "af7e85f2", "56c8b612"),
        ("10.9.0.2", True, "00000000", "007e85f2"),
        ("fd00:2::2", True, "ff5fec7e", "9b5c0904"),
    ]
    assert rows[0].bytes_acked == 9431458


def test_netstat_counters_are_read_in_pairs() -> None:
    text = "TcpExt: A B\nTcpExt: 1 2\nMPTcpExt: MPJoinSynRx MPJoinAckRx\nMPTcpExt: 4 3\n"
    assert parse_counters(text) == {"MPJoinSynRx": 4, "MPJoinAckRx": 3}
    assert parse_counters("TcpExt: A\nTcpExt: 1\n") == {}


def test_a_counter_that_the_kernel_does_not_have_is_refused_and_not_read_as_zero() -> None:
    counted = CounterChanges({"MPJoinSynRx": 4, "MPJoinAckRx": 3}, {"MPJoinSynRx": 4, "MPJoinAckRx": 5})
    assert counted == {"MPJoinAckRx": 2} and counted["MPJoinSynRx"] == 0
    with pytest.raises(LabError, match="'MPTcpExtMPJoinAckRx'"):
        counted["MPTcpExtMPJoinAckRx"]


def test_a_metric_that_the_controller_does_not_have_is_refused_and_not_read_as_zero() -> None:
    class Told(Controller):
        def __init__(self) -> None:
            """No process: only what it would tell."""

        def get(self, path: str) -> str:
            kinds = "# TYPE steering_joins_total counter\n# TYPE steering_floods_total counter\n"
            return (
                kinds + 'steering_joins_total{result="held"} 2.0\nsteering_joins_total{result="pinned"} 3.0\n'
            )

    told = Told()
    assert (
        told.metric("steering_joins_total") == 5 and told.metric("steering_joins_total", result="held") == 2
    )
    assert told.metric("steering_floods_total") == 0
    with pytest.raises(LabError, match="'steering_join_total'"):
        told.metric("steering_join_total")


def carrying(sequence: int, length: int, flow: FiveTuple = LTE) -> Segment:
    return replace(segment(flow), sequence=sequence, length=length)


def test_payload_counts_what_tcp_repeats_once() -> None:
    end = 2**32
    sent = [carrying(end - 1000, 1000), carrying(0, 500), carrying(end - 500, 800), carrying(0, 500)]
    assert payload(sent) == 1500  # also over the wrap, and where a repetition has other ends
    assert payload([*sent, carrying(900, 100)]) == 1600, "a hole is none of it"
    assert payload([*sent, carrying(0, 500, NATTED)]) == 2000, "another subflow's bytes are its own"
    assert payload(sent, 443) == 0


def test_a_join_counts_from_when_it_is_complete_and_not_from_a_syn_that_was_lost() -> None:
    class Seen(WatchedTransfer):
        def __init__(self, seen: list[Segment]) -> None:
            """No lab: only what was captured."""
            self.addresses, self._seen = {"lte": LTE.src}, seen

        def segments(self, access: str, port: int) -> list[Segment]:
            return self._seen

    syn = replace(segment(LTE, 0x02, (JOIN,)), size=74)
    answer, complete = (
        replace(segment(LTE.reversed(), 0x12, (JOIN,)), time=1.1),
        replace(segment(LTE), time=1.2),
    )
    data = replace(carrying(1, 500), time=2.0, size=566)
    seen = Seen([syn, replace(syn, time=1.0), answer, complete, data])
    assert seen.joined("lte", 5001, 9.0) == 1.2 and Seen([syn]).joined("lte", 5001, 9.0) == 9.0
    assert seen.frames_sent("lte", 5001, 0.0) == 714 and seen.frames_sent("lte", 5001, 0.0, 2.0) == 148


@pytest.mark.parametrize(
    ("after", "failed"), [(0.9, []), (1.1, ["it: MP_PRIO 'backup' on lte, within a second"]), (6.0, None)]
)
def test_an_mp_prio_that_comes_late_fails_the_check_of_a_time_alone(
    after: float, failed: list[str] | None
) -> None:
    class Seen(WatchedTransfer):
        def __init__(self) -> None:
            """No lab: only what was captured."""

        def priorities(self, access: str, port: int, begin: float = 0.0) -> list[Priority]:
            return [Priority(after, LTE.src, True)]

    report = Report("lab", "figure", ())
    assert expect_priority(report, "it", Seen(), "lte", 5001, 0.0, True) == (after if after < 6 else 1.0)
    names = [check.name for check in report.failed]
    assert names == failed or (failed is None and len(names) == 2)
    assert not only_rates(report.document()), "a time that is promised is measured once"


def test_what_tcp_repeats_is_not_sent_anew_and_numbers_may_wrap() -> None:
    first = 0xFFFF_FC18  # 1,000 before the end
    sent = [
        replace(segment(LTE), time=at, sequence=first + number & 0xFFFF_FFFF, length=length)
        for at, number, length in (
            (1.0, 0, 500),
            (1.1, 500, 1_000),
            (2.0, 500, 1_000),  # repeated
            (2.1, 1_200, 500),  # 200 of them new
            (2.2, 0, 500),
        )
    ]
    sent.append(replace(segment(NATTED), time=2.3, sequence=7, length=100))
    assert fresh(sent, 2.0) == 300 and fresh(sent, 0.0) == 1_800 and fresh(sent, 3.0) == 0


def test_a_repeated_syn_is_no_second_connection() -> None:
    again, other = replace(FIRST, time=1.0), replace(FIRST, sequence=7)
    assert distinct([FIRST, again, other, JOINING]) == [FIRST, other, JOINING]


def test_a_wait_ends_with_what_it_waits_for_or_with_its_time() -> None:
    answers = iter((0, 0, 1))
    assert until(lambda: next(answers), 30.0, 0.0) and not until(lambda: False, 0.0)
