"""Requests from one controller's REST to another's, over the stream between them. The stream's certificate proves which
controller asks, so a user's token never leaves the controller to which the user sent it.

The asking side waits, for a bounded time, in the greenthread of the user's request. The answering side works in a
greenthread that this module starts. So the greenthreads that serve switches never wait.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import eventlet

from steering.core.inputs import Input
from steering.core.peer_facts import PeerLost, PeerTold
from steering.model.cluster import PeerFailure, PeerReply, PeerRequest, nothing_meanwhile
from steering.wire.errors import WireError
from steering.wire.peer_messages import WITH_REST, PeerMessage, RestAnswer, RestQuestion
from steering.wire.peer_rest_codec import LONGEST_PART, REST_METHODS

LONGEST_REPLY = (
    256 << 10
)  # most bytes of an answer; 250 sessions with the longest names need two fifths of it
MOST_KEPT = 32 << 20  # most bytes of all incomplete answers together
AT_ONCE = 8  # most questions of one controller that are answered at a time; further ones get 503
ROUNDS = 32  # most requests of users that wait for other controllers at a time
_BUSY = PeerReply(503, b"{}")

PeerSender = Callable[[str, PeerMessage], bool]
Answerer = Callable[[str, PeerRequest], PeerReply]


class _OpenQuestion:
    """A question without a complete answer. The question ends with the last part of the answer, with the stream, or when
    the asking side stops waiting."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[bytes] = []
        self.size = 0
        self.found: PeerReply | PeerFailure | None = None


class PeerRest:
    """Implements `model.cluster.ClusterPeers`. `others`: the members that may know sessions. `say` sends a message to a
    member, and returns False where it cannot be reached. `version`: the version of the protocol that a member speaks, 0
    where it cannot be reached."""

    def __init__(
        self, name: str, others: Callable[[], tuple[str, ...]], say: PeerSender, version: Callable[[str], int]
    ) -> None:
        self.name = name
        self.others = others
        self.failures: Counter[PeerFailure] = Counter()
        self.answer: Answerer | None = None  # None until this controller's REST exists
        self._say = say
        self._version = version
        self._open: dict[int, _OpenQuestion] = {}
        # The last question's number. It begins at random, since answers for the run before may still arrive.
        self._number = secrets.randbits(32)
        self._rounds = 0
        self._kept = 0  # bytes of incomplete answers
        self._answering: Counter[str] = Counter()
        self._changed: Any = eventlet.event.Event()

    @property
    def waiting(self) -> int:
        """Number of questions without a complete answer."""
        return len(self._open)

    # ---- asking -----------------------------------------------------------------------------------

    def ask(
        self,
        requests: Mapping[str, PeerRequest],
        seconds: float,
        meanwhile: Callable[[], None] = nothing_meanwhile,
    ) -> Mapping[str, PeerReply | PeerFailure]:
        if self._rounds >= ROUNDS:
            meanwhile()
            found: dict[str, PeerReply | PeerFailure] = dict.fromkeys(requests, PeerFailure.BUSY)
        else:
            self._rounds += 1
            asked: dict[int, _OpenQuestion] = {}
            try:
                for name, request in requests.items():
                    self._ask(name, request, asked)
                meanwhile()
                self._wait(asked, seconds)
            finally:
                self._rounds -= 1
                for number, one in asked.items():
                    self._open.pop(number, None)
                    self._kept -= one.size
            found = {one.name: one.found or PeerFailure.SILENT for one in asked.values()}
        for name, what in found.items():
            if isinstance(what, PeerFailure):
                self.failed(name, what)
        return found

    def failed(self, name: str, why: PeerFailure) -> None:
        self.failures[why] += 1

    def _ask(self, name: str, request: PeerRequest, asked: dict[int, _OpenQuestion]) -> None:
        self._number = (self._number + 1) & 0xFFFF_FFFF
        asked[self._number] = one = _OpenQuestion(name)
        version = self._version(name)
        if not version:
            one.found = PeerFailure.UNREACHABLE
        elif version < WITH_REST:
            one.found = (
                PeerFailure.OLD
            )  # an old member would end the stream at a message that it does not know
        else:
            self._open[self._number] = one
            method = REST_METHODS.index(request.method)
            question = RestQuestion(self._number, method, request.role, request.who, request.target)
            try:
                said = self._say(name, question)
            except WireError:
                one.found = PeerFailure.REFUSED  # the question is too long
                return
            if not said:
                one.found = PeerFailure.UNREACHABLE

    def _wait(self, asked: Mapping[int, _OpenQuestion], seconds: float) -> None:
        with eventlet.Timeout(seconds, False):
            while any(one.found is None for one in asked.values()):
                self._changed.wait()

    def _tell_all(self) -> None:
        before, self._changed = self._changed, eventlet.event.Event()
        before.send()

    # ---- what the streams tell ----------------------------------------------------------------------

    def takes(self, given: Input) -> bool:
        """Take a message about REST. Returns False for any other message."""
        if isinstance(given, PeerLost):
            self._lost(given.name)
        elif isinstance(given, PeerTold):
            if isinstance(given.message, RestQuestion):
                self._asked(given.name, given.message)
                return True
            if isinstance(given.message, RestAnswer):
                self._answered(given.name, given.message)
                return True
        return False

    def _lost(self, name: str) -> None:
        for one in self._open.values():
            if one.name == name and one.found is None:
                one.found = PeerFailure.UNREACHABLE
        self._tell_all()

    def _answered(self, name: str, part: RestAnswer) -> None:
        one = self._open.get(part.request)
        if one is None or one.name != name or one.found is not None:
            return  # the asking side has stopped waiting
        one.size += len(part.data)
        self._kept += len(part.data)
        if one.size > LONGEST_REPLY or self._kept > MOST_KEPT:
            one.found = PeerFailure.TOO_LONG
            one.parts.clear()
        else:
            one.parts.append(part.data)
            if not part.last:
                return
            one.found = PeerReply(part.status, b"".join(one.parts))
        self._tell_all()

    # ---- answering ----------------------------------------------------------------------------------

    def _asked(self, name: str, question: RestQuestion) -> None:
        if self._answering[name] >= AT_ONCE or self.answer is None:
            self._send(name, question.request, _BUSY)
            return
        self._answering[name] += 1
        eventlet.spawn(self._work, self.answer, name, question)

    def _work(self, answer: Answerer, name: str, question: RestQuestion) -> None:
        method = REST_METHODS[question.method]
        try:
            reply = answer(name, PeerRequest(method, question.target, question.role, question.who))
            self._send(name, question.request, reply)
        finally:
            self._answering[name] -= 1
            if not self._answering[name]:
                del self._answering[name]

    def _send(self, name: str, request: int, reply: PeerReply) -> None:
        """Send an answer in parts, so that heartbeats and segments can be sent in between."""
        for at in range(0, max(len(reply.body), 1), LONGEST_PART):
            last = at + LONGEST_PART >= len(reply.body)
            part = RestAnswer(request, reply.status, last, reply.body[at : at + LONGEST_PART])
            if not self._say(name, part):
                return
            if not last:
                eventlet.sleep(0)
