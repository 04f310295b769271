"""What captures tell of lost SYNs and of segments at another MCP, on made-up segments."""

from dataclasses import replace

from topologies.kit.captures import CAPABLE, JOIN, Segment
from topologies.kit.kernel_counters import FiveTuple
from topologies.measures.owner_changes import (
    LIMIT,
    SCARCE,
    elsewhere,
    limited_plan,
    mispinned,
    syn_times,
    without_limit,
)
from topologies.measures.pins import token_of
from topologies.networks.three_owners import POLICY

FLOW = FiveTuple("10.1.0.2", 40_001, "10.9.0.2", 5001)
SYN, SYN_ACK, ACK = 0x02, 0x12, 0x10


def segment(at: float, flags: int, *options: str, flow: FiveTuple = FLOW, sequence: int = 7) -> Segment:
    return Segment(at, flow, flags, 0, options, "", "", "", sequence, "")


def test_a_syn_that_was_sent_again_is_one_that_was_not_answered() -> None:
    again = FiveTuple("10.3.0.3", 40_001, "10.9.0.2", 5001)
    seen = [
        segment(2.0, SYN, CAPABLE),
        segment(1.0, SYN, CAPABLE),
        segment(1.1, SYN_ACK, CAPABLE, flow=FLOW.reversed()),
        segment(5.0, SYN, CAPABLE, sequence=8),
        segment(3.0, SYN, JOIN, flow=again),
        segment(9.0, SYN, CAPABLE, flow=replace(FLOW, dst=SCARCE)),
    ]
    assert sorted(syn_times(seen)) == [[1.0, 2.0], [3.0], [5.0]]


def test_a_segment_at_another_mcp_is_told_in_both_directions() -> None:
    begin = [segment(1.0, SYN, CAPABLE), segment(1.1, SYN_ACK, CAPABLE, flow=FLOW.reversed())]
    assert elsewhere({"alpha": [*begin, segment(1.2, ACK)], "beta": []}) == []
    assert len(elsewhere({"alpha": begin, "beta": [segment(1.2, ACK)]})) == 1
    assert len(elsewhere({"alpha": begin, "beta": [segment(1.2, ACK, flow=FLOW.reversed())]})) == 1


def test_a_port_that_is_used_again_is_another_session() -> None:
    first = [segment(1.0, SYN, CAPABLE), segment(1.2, ACK)]
    second = [segment(8.0, SYN, CAPABLE, sequence=9), segment(8.2, ACK)]
    assert elsewhere({"alpha": first, "beta": second}) == []
    repeated = [segment(2.0, SYN, CAPABLE)]
    assert len(elsewhere({"alpha": first, "beta": repeated})) == 1, (
        "a SYN that was sent again is the same one"
    )


def test_a_join_at_an_mcp_that_has_not_its_key_is_told() -> None:
    key = "0011223344556677"
    answer = replace(segment(1.1, SYN_ACK, CAPABLE, flow=FLOW.reversed()), key=key)
    join = replace(segment(2.0, SYN, JOIN), token=token_of(key))
    assert mispinned({"alpha": [answer, join], "beta": []}) == []
    assert len(mispinned({"alpha": [answer], "beta": [join]})) == 1


def test_the_control_without_the_limit_has_the_same_network() -> None:
    plan = limited_plan("x")
    assert f"sessions_per_server: {LIMIT}" in plan.policy
    assert without_limit(plan, ()) == plan
    assert without_limit(plan, ("limit",)) == replace(plan, policy=POLICY)
