"""What members write to agree on a policy is read as it was written, and bounded."""

import json

import pytest

from steering.cluster.policy_records import (
    MOST_REASON,
    MOST_VERSION,
    ActivePolicy,
    PolicyAck,
    PolicyProposal,
    one_line,
    read_ack,
    read_active,
    read_proposal,
    record_text,
)

PROPOSAL = PolicyProposal("17", "c1", 3, '{"text": "policy"}')


def test_records_are_read_as_they_were_written() -> None:
    assert read_proposal(record_text(PROPOSAL)) == PROPOSAL
    for ack in (PolicyAck("17"), PolicyAck("17", "no such MCP")):
        assert read_ack(record_text(ack)) == ack
    for active in (ActivePolicy("17", 3, "ab"), ActivePolicy("", MOST_VERSION, "ab")):
        assert read_active(record_text(active)) == active


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""}, {"id": 7}, {"id": "x" * 65}, {"by": ""}, {"by": "a b"}, {"by": None}, {"version": 0}, {"version": True},
        {"version": "3"}, {"version": MOST_VERSION + 1}, {"head": None}, {"head": "x" * (1 << 20)}, {"head": "\N{SNOWMAN}"},
    ],
)  # fmt: skip
def test_a_proposal_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        read_proposal(json.dumps(PROPOSAL._asdict() | change))


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "null", "[" * 5_000, '{"id": ' + "[" * 100 + "]" * 100 + "}"]
)
def test_what_is_no_record_is_refused(text: str) -> None:
    for read in (read_proposal, read_ack, read_active):
        with pytest.raises(ValueError):
            read(text)


def test_a_reason_is_one_bounded_line() -> None:
    told = one_line("policy:2: \x1b[31munknown\nkey \N{SNOWMAN}" + "x" * 1_000)
    assert len(told) == MOST_REASON and told.isprintable() and told.isascii()
    with pytest.raises(ValueError):
        read_ack(json.dumps({"id": "1", "refusal": "x" * (MOST_REASON + 1)}))
    assert read_ack('{"id": "1", "refusal": "a\\nb"}').refusal == "a b"
