"""What other controllers of the cell know: asked where a request names one of theirs, and checked before it is passed on."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from steering.model.cluster import ClusterPeers, PeerFailure, PeerReply, PeerRequest
from steering.model.view import Pause
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, not_found, shown

PATIENCE = 1.0  # seconds in which a controller has to answer

Json = dict[str, Any]


def request_of(call: Call, method: str, path: list[str], query: dict[str, str] | None = None) -> PeerRequest:
    """A user's request as it is passed on: with the user's role and the name of its token, and without the token."""
    target = "/v1/" + "/".join(quote(one, safe=":") for one in path)
    return PeerRequest(
        method, f"{target}?{urlencode(query)}" if query else target, call.who.role.value, call.who.id
    )


class PeerReads:
    """`peers`: None for one controller alone. `pause` lets others have a turn while a long answer is checked."""

    def __init__(self, peers: ClusterPeers | None, pause: Pause) -> None:
        self.peers = peers
        self._pause = pause
        if peers is not None:
            # Late: the schemas of all answers are made for this, a twentieth of a start.
            from steering.northbound.schema.answer_check import answer_of

            self._answer_of = answer_of

    def owner(self, call: Call) -> str:
        """The other controller that the id of a path names, as `NAME:NUMBER`; "" for this one's own. Raises Problem 404 for
        one that there is not."""
        name, colon, _ = call.path["id"].rpartition(":")
        if not colon or self.peers is None or call.asked_by or name == self.peers.name:
            return ""
        if name not in self.peers.others():
            raise not_found(f"no controller {shown(name)} in this cluster")
        return name

    def passed_on(self, owner: str, call: Call, method: str, path: list[str], schema: str) -> RestReply:
        """The owner's answer, of one schema of the API. Raises Problem 404 where it knows no such thing, 503 where it does
        not answer, or not as the API says."""
        assert self.peers is not None
        reply = self.peers.ask({owner: request_of(call, method, path)}, PATIENCE)[owner]
        if isinstance(reply, PeerFailure):
            raise _unanswered(owner, reply)
        if reply.status == HTTPStatus.NOT_FOUND:
            raise not_found(f"controller {owner} knows no {shown(call.path['id'])}")
        body = self.checked(owner, reply, schema)
        if isinstance(body, PeerFailure):
            raise _unanswered(owner, body)
        if body["id"] != call.path["id"]:
            self.peers.failed(owner, PeerFailure.MALFORMED)
            raise _unanswered(owner, PeerFailure.MALFORMED)
        return RestReply(body, status=reply.status)

    def checked(self, name: str, reply: PeerReply, schema: str) -> Json | PeerFailure:
        """The body of an answer; a refusal is counted."""
        assert self.peers is not None
        refused = PeerFailure.MALFORMED
        if reply.status >= HTTPStatus.BAD_REQUEST:
            refused = PeerFailure.REFUSED
        else:
            body = self._answer_of(reply.body, schema, self._pause)
            if body is not None:
                return body
        self.peers.failed(name, refused)
        return refused


def _unanswered(owner: str, why: PeerFailure) -> Problem:
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        f"controller {shown(owner)} has to answer this, and does not: {why.value}",
        (("Retry-After", "1"),),
    )
