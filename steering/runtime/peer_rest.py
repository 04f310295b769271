"""Questions of one controller's REST to another's, over the stream between them: the certificate there says who asks, and no
user's token leaves the controller that it was shown to.

Who asks waits in a greenthread of its own request, for a bounded time; who answers does so in a greenthread that this module
begins. So nobody waits where switches are served.
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

LONGEST_REPLY = 256 << 10  # bytes; 250 sessions with the longest names have two fifths of it
MOST_KEPT = 32 << 20  # bytes of all answers that are not yet whole
AT_ONCE = 8  # questions of one controller that are worked on; further ones get 503
ROUNDS = 32  # requests of users that may wait for others at once
_BUSY = PeerReply(503, b"{}")

Say = Callable[[str, PeerMessage], bool]
Answer = Callable[[str, PeerRequest], PeerReply]


class _OpenQuestion:
    """A question that was asked. It ends by its last part, by the end of the stream, or when nobody waits any more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts: list[bytes] = []
        self.size = 0
        self.found: PeerReply | PeerFailure | None = None


class PeerRest:
    """Implements `model.cluster.ClusterPeers`. `others`: members that may know sessions; `say`: tells one of them, False where
    it cannot be reached; `version`: of the protocol that is spoken with it, 0 where it cannot be reached."""

    def __init__(
        self, name: str, others: Callable[[], tuple[str, ...]], say: Say, version: Callable[[str], int]
    ) -> None:
        self.name = name
        self.others = others
        self.failures: Counter[PeerFailure] = Counter()
        self.answer: Answer | None = None  # until REST is there
        self._say = say
        self._version = version
        self._open: dict[int, _OpenQuestion] = {}
        # Of the last question. A controller that begins anew gets answers that were meant for the run before.
        self._number = secrets.randbits(32)
        self._rounds = 0
        self._kept = 0  # bytes of answers that are not yet whole
        self._answering: Counter[str] = Counter()
        self._changed: Any = eventlet.event.Event()

    @property
    def waiting(self) -> int:
        """Questions whose answers are waited for."""
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
            one.found = PeerFailure.OLD  # a message that it does not know would end the stream
        else:
            self._open[self._number] = one
            method = REST_METHODS.index(request.method)
            question = RestQuestion(self._number, method, request.role, request.who, request.target)
            try:
                said = self._say(name, question)
            except WireError:
                one.found = PeerFailure.REFUSED  # longer than a question may be
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
        """Take what is of REST; False for what is others'."""
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
            return  # nobody waits for it any more
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

    def _work(self, answer: Answer, name: str, question: RestQuestion) -> None:
        method = REST_METHODS[question.method]
        try:
            reply = answer(name, PeerRequest(method, question.target, question.role, question.who))
            self._send(name, question.request, reply)
        finally:
            self._answering[name] -= 1
            if not self._answering[name]:
                del self._answering[name]

    def _send(self, name: str, request: int, reply: PeerReply) -> None:
        """In parts, between which heartbeats and segments have their turn."""
        for at in range(0, max(len(reply.body), 1), LONGEST_PART):
            last = at + LONGEST_PART >= len(reply.body)
            part = RestAnswer(request, reply.status, last, reply.body[at : at + LONGEST_PART])
            if not self._say(name, part):
                return
            if not last:
                eventlet.sleep(0)
