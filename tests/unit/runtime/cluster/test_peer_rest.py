"""Questions of one controller's REST to another's: parts, bounds, time, and who ends what nobody waits for any more."""

import json
import time
from collections.abc import Callable

import eventlet
import pytest

from steering.core.peer_facts import PeerLost, PeerTold
from steering.model.cluster import PeerFailure, PeerReply, PeerRequest
from steering.model.policy import Insertion
from steering.model.session import SessionState
from steering.model.session_snapshot import SessionSnapshot
from steering.northbound.resources.session_pages import MOST_ASKED
from steering.northbound.schema.representation import as_json
from steering.runtime.cluster.peer_rest import AT_ONCE, LONGEST_REPLY, ROUNDS, PeerRest
from steering.wire.peer_codec import decoded, encoded
from steering.wire.peer_messages import PeerMessage, RestAnswer, RestQuestion
from steering.wire.peer_stream import HEAD

READ = PeerRequest("GET", "/v1/sessions?limit=3", "reader", "r")
LONG = 20.0  # seconds that no test waits for


class Pair:
    """Two controllers whose messages go to each other at once, as bytes. `lost`: messages of b are."""

    def __init__(self, version: int = 2) -> None:
        self.lost = False
        self.sent: list[PeerMessage] = []
        self.a = PeerRest("a", lambda: ("b",), self._of("b"), lambda name: version)
        self.b = PeerRest("b", lambda: ("a",), self._of("a"), lambda name: version)

    def _of(self, to: str) -> Callable[[str, PeerMessage], bool]:
        def say(name: str, message: PeerMessage) -> bool:
            assert name == to
            data = encoded(message)
            self.sent.append(message)
            if not (self.lost and to == "a"):
                told = PeerTold("a" if to == "b" else "b", decoded(data[2], data[HEAD:]))
                eventlet.spawn_n((self.b if to == "b" else self.a).takes, told)
            return True

        return say

    def ask(self, seconds: float = LONG) -> PeerReply | PeerFailure:
        return self.a.ask({"b": READ}, seconds)["b"]


@pytest.mark.parametrize("size", [0, 1, 16_377, 16_378, 200_000, LONGEST_REPLY])
def test_an_answer_comes_whole(size: int) -> None:
    pair, asked = Pair(), []
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)

    def answer(name: str, request: PeerRequest) -> PeerReply:
        asked.append((name, request))
        return PeerReply(200, body)

    pair.b.answer = answer
    assert pair.ask() == PeerReply(200, body) and asked == [("a", READ)]
    assert not pair.a.failures and pair.a.waiting == 0


def test_the_longest_sessions_that_are_asked_for_at_once_are_no_answer_that_is_too_long() -> None:
    name, end = "n" * 63, "[" + ":".join(["ffff"] * 8) + "]:65535"
    session = SessionSnapshot(
        f"{name}:{10**18 - 1}", max(SessionState, key=len), name, max(Insertion, key=len), "f" * 8, 1, end, end, False,
        64, 1e9 + 0.123,
    )  # fmt: skip
    told = {"sessions": [session] * MOST_ASKED, "total": (1 << 32) - 1, "next": "9" * 18, "incomplete": []}
    size = len(json.dumps(as_json(told), separators=(",", ":")))
    assert LONGEST_REPLY / 3 < size < LONGEST_REPLY / 2


def test_an_answer_that_is_too_long_is_refused_before_it_is_there() -> None:
    pair = Pair()
    pair.b.answer = lambda name, request: PeerReply(200, bytes(LONGEST_REPLY + 1))
    assert pair.ask() is PeerFailure.TOO_LONG and pair.a.failures == {PeerFailure.TOO_LONG: 1}
    assert pair.a.waiting == 0


def test_who_does_not_answer_in_time_is_silent_and_nothing_is_kept_of_it() -> None:
    pair = Pair()
    pair.lost = True
    pair.b.answer = lambda name, request: PeerReply(200, b"{}")
    assert pair.ask(0.05) is PeerFailure.SILENT and pair.a.failures == {PeerFailure.SILENT: 1}
    question = pair.sent[0]
    assert isinstance(question, RestQuestion)
    pair.a.takes(PeerTold("b", RestAnswer(question.request, 200, True, b"late")))
    assert pair.a.waiting == 0


def test_a_stream_that_ends_ends_the_wait_at_once() -> None:
    pair = Pair()
    pair.lost = True
    eventlet.spawn_after(0.05, pair.a.takes, PeerLost("b"))
    began = time.monotonic()
    assert pair.ask() is PeerFailure.UNREACHABLE
    assert time.monotonic() - began < LONG, "it did not wait for the time that it had"


@pytest.mark.parametrize(("version", "why"), [(0, PeerFailure.UNREACHABLE), (1, PeerFailure.OLD)])
def test_who_knows_no_such_question_is_sent_none(version: int, why: PeerFailure) -> None:
    pair = Pair(version)
    assert pair.ask() is why and pair.sent == []


def test_an_answer_of_another_controller_is_not_taken_for_the_one_that_was_asked() -> None:
    pair, forged = Pair(), []
    pair.lost = True

    def forge() -> None:
        question = pair.sent[0]
        assert isinstance(question, RestQuestion)
        pair.a.takes(PeerTold("c", RestAnswer(question.request, 200, True, b"forged")))
        forged.append(question.request)

    assert pair.a.ask({"b": READ}, 0.05, forge) == {"b": PeerFailure.SILENT} and len(forged) == 1


def test_a_controller_that_begins_anew_takes_no_answer_to_a_question_of_its_earlier_run() -> None:
    earlier, later = Pair(), Pair()
    for pair in (earlier, later):
        pair.lost = True
        for _ in range(8):
            assert pair.ask(0.0) is PeerFailure.SILENT
    numbers = [
        {one.request for one in pair.sent if isinstance(one, RestQuestion)} for pair in (earlier, later)
    ]
    assert [len(one) for one in numbers] == [8, 8] and not numbers[0] & numbers[1]


def test_a_controller_that_asks_without_end_has_a_few_answered_and_the_rest_refused() -> None:
    pair = Pair()
    done = eventlet.event.Event()

    def answer(name: str, request: PeerRequest) -> PeerReply:
        done.wait()
        return PeerReply(200, b"{}")

    pair.b.answer = answer
    for number in range(100):
        pair.b.takes(PeerTold("a", RestQuestion(number, 0, "reader", "r", "/v1/sessions")))
    eventlet.sleep(0)
    refused = [one for one in pair.sent if isinstance(one, RestAnswer)]
    assert len(refused) == 100 - AT_ONCE and {one.status for one in refused} == {503}
    done.send()
    while len([one for one in pair.sent if isinstance(one, RestAnswer)]) < 100:
        eventlet.sleep(0)
    pair.b.takes(PeerTold("a", RestQuestion(1_000, 0, "reader", "r", "/v1/sessions")))
    while len([one for one in pair.sent if isinstance(one, RestAnswer)]) < 101:
        eventlet.sleep(0)
    assert pair.sent[-1] == RestAnswer(1_000, 200, True, b"{}"), "there is room again"


def test_what_is_to_be_done_meanwhile_is_done_when_all_are_asked() -> None:
    pair, sent = Pair(), []
    pair.b.answer = lambda name, request: PeerReply(200, b"{}")
    found = pair.a.ask({"b": READ}, LONG, lambda: sent.append(list(pair.sent)))
    assert found == {"b": PeerReply(200, b"{}")}
    assert [type(one) for one in sent[0]] == [RestQuestion]


def test_an_answer_that_came_meanwhile_needs_no_further_time() -> None:
    pair = Pair()
    pair.lost = True
    pair.b.answer = lambda name, request: PeerReply(200, b"{}")

    def meanwhile() -> None:
        while not isinstance(pair.sent[-1], RestAnswer):
            eventlet.sleep(0)
        pair.a.takes(PeerTold("b", pair.sent[-1]))

    assert pair.a.ask({"b": READ}, 0.0, meanwhile) == {"b": PeerReply(200, b"{}")}


def test_what_fails_meanwhile_leaves_no_question_open() -> None:
    pair = Pair()
    pair.b.answer = lambda name, request: PeerReply(200, b"{}")

    def meanwhile() -> None:
        raise KeyError("found nothing")

    for _ in range(ROUNDS + 1):
        with pytest.raises(KeyError):
            pair.a.ask({"b": READ}, LONG, meanwhile)
    assert pair.a.waiting == 0
    assert isinstance(pair.ask(), PeerReply), "there is room for its questions"


def test_who_asks_when_too_many_do_has_its_own_work_done() -> None:
    pair, done = Pair(), []
    pair.lost = True
    for _ in range(ROUNDS):
        eventlet.spawn_n(pair.ask)
    while pair.a.waiting < ROUNDS:
        eventlet.sleep(0)
    assert pair.a.ask({"b": READ}, LONG, lambda: done.append(1)) == {"b": PeerFailure.BUSY} and done == [1]
    pair.a.takes(PeerLost("b"))
    while pair.a.waiting:
        eventlet.sleep(0)


def test_nobody_answers_before_rest_is_there() -> None:
    assert Pair().ask() == PeerReply(503, b"{}")
