"""Asks another controller of the cluster for what it owns, where a request names it, and checks the answer."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from steering.model.cluster import ClusterPeers, PeerFailure, PeerReply, PeerRequest
from steering.model.view import Pause
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, not_found, shown

PATIENCE = 1.0  # seconds that another controller has to answer in

Json = dict[str, Any]


def request_of(call: Call, method: str, path: list[str], query: dict[str, str] | None = None) -> PeerRequest:
    """A client's request as it is passed on: with the role and the id of the client's token, without the token itself."""
    target = "/v1/" + "/".join(quote(one, safe=":") for one in path)
    return PeerRequest(
        method, f"{target}?{urlencode(query)}" if query else target, call.who.role.value, call.who.id
    )


class PeerReads:
    """`peers`: None for a controller alone. `pause` lets other threads run while a long answer is checked."""

    def __init__(self, peers: ClusterPeers | None, pause: Pause) -> None:
        self.peers = peers
        self._pause = pause
        if peers is not None:
            # Imported only in a cluster: the schemas of all answers take a twentieth of a start.
            from steering.northbound.schema.answer_check import answer_of

            self._answer_of = answer_of

    def owner(self, call: Call) -> str:
        """The name of the other controller in a path's id `NAME:NUMBER`; "" where this controller has to answer itself. Raises
        Problem 404 for an unknown controller."""
        name, colon, _ = call.path["id"].rpartition(":")
        if not colon or self.peers is None or call.asked_by or name == self.peers.name:
            return ""
        if name not in self.peers.others():
            raise not_found(f"no controller {shown(name)} in this cluster")
        return name

    def passed_on(self, owner: str, call: Call, method: str, path: list[str], schema: str) -> RestReply:
        """The owner's answer, checked against a schema of the API. Raises Problem 404 where the owner does not know the id, 503
        where it does not answer or its answer does not fit the schema."""
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
        """The body of another controller's answer, or why it cannot be used; a failure is counted."""
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
