"""Pages of the sessions of all controllers of a cluster, controller after controller in the order of their names.

For a page all controllers are asked at once for their number of sessions and their first few sessions. Meanwhile this
controller searches its own. Only where the answers do not fill the page is a controller asked again. The answer names
controllers that did not answer, and the page goes on with the next controller.
"""

from collections.abc import Callable
from time import monotonic
from typing import Any, NamedTuple

from steering.model.cluster import ClusterPeers, PeerFailure
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.parameters import SessionCursor, text_of
from steering.northbound.http.problems import bad_request, shown
from steering.northbound.resources.peer_reads import PATIENCE, PeerReads, request_of

FEW = 32  # sessions to ask a controller for while it is not known how much of the page is left for them
MOST_ASKED = 250  # sessions of one answer: an answer is parsed in one go, and packets wait meanwhile
LONGEST = 3.0  # seconds that one page waits for all other controllers together

Json = dict[str, Any]


class SessionPart(NamedTuple):
    """A page of one controller's sessions. `following`: the session number after which the controller's next page begins,
    None for the last page. `total`: the number of sessions on all its pages."""

    sessions: list[Json]
    total: int
    following: int | None


OwnSessions = Callable[[int, int], SessionPart]  # (after, limit) -> a page of this controller's own sessions


class SessionPages:
    def __init__(self, reads: PeerReads, peers: ClusterPeers) -> None:
        self._reads = reads
        self._peers = peers

    def page(self, call: Call, own: OwnSessions) -> RestReply:
        """The page that `call.query` asks for. Raises Problem 400 for an unknown controller."""
        return _PageAssembly(self._reads, self._peers, call, own).told()


class _PageAssembly:
    """One page while its parts are collected."""

    def __init__(self, reads: PeerReads, peers: ClusterPeers, call: Call, own: OwnSessions) -> None:
        self._reads, self._peers, self._call, self._own = reads, peers, call, own
        self._left = LONGEST
        self._missing: set[str] = set()
        self._sessions: list[Json] = []
        self._next: SessionCursor | None = None
        self._room: int = call.query["limit"]
        self._names = sorted({peers.name, *peers.others()})
        wanted = call.query["controller"]
        if wanted is not None and wanted not in self._names:
            raise bad_request(f"no controller {shown(wanted)}; known: {', '.join(self._names)}")
        if wanted is not None:
            self._names = [wanted]

    def told(self) -> RestReply:
        cursor: SessionCursor = self._call.query["cursor"]
        if cursor.after and not cursor.controller:
            cursor = SessionCursor(self._peers.name, cursor.after)
        if cursor.controller and cursor.controller not in self._names:
            # It left the cluster: the new owner of its switches has read its sessions and numbered them anew.
            self._missing.add(cursor.controller)
        following = [name for name in self._names if name >= cursor.controller]
        first = {cursor.controller: (cursor.after, self._room)}
        parts = self._asked({name: first.get(name, (0, min(FEW, self._room))) for name in self._names})
        for name in following:
            if name in parts and not self._takes(name, parts[name], first.get(name, (0, 0))[0]):
                break
        body = {
            "sessions": self._sessions,
            "total": sum(part.total for part in parts.values()),
            "next": None if self._next is None else str(self._next),
            "incomplete": sorted(self._missing),
        }
        more = None if self._next is None else {**self._call.query, "cursor": self._next}
        return RestReply(body, next_query=more, incomplete=tuple(sorted(self._missing)))

    def _takes(self, name: str, part: SessionPart, after: int) -> bool:
        """Add a controller's sessions to the page as far as there is room. False where the page is full with them."""
        while True:
            taken = part.sessions[: self._room]
            self._sessions += taken
            self._room -= len(taken)
            if taken:
                after = _number(taken[-1])
            if len(taken) < len(part.sessions) or (part.following is not None and not self._room):
                # Where no session of this part had room, `after` is unchanged and the next page has all of them.
                self._next = SessionCursor(name, after)
                return False
            if part.following is None:
                return True
            after = part.following
            again = self._asked({name: (after, self._room)}).get(name)
            if again is None:
                return True
            part = again

    def _asked(self, wanted: dict[str, tuple[int, int]]) -> dict[str, SessionPart]:
        """Parts by controller; a controller that does not answer has none. `wanted`: controller -> (after, limit)."""
        found: dict[str, SessionPart] = {}
        waiting_since = monotonic()

        def own() -> None:
            nonlocal waiting_since
            if self._peers.name in wanted:
                found[self._peers.name] = self._own(*wanted[self._peers.name])
            waiting_since = monotonic()

        others = {
            name: (after, min(most, MOST_ASKED))
            for name, (after, most) in wanted.items()
            if name != self._peers.name
        }
        if not others or self._left <= 0:
            own()
        else:
            # `own` runs while the others search: this controller's search may take longer than their time to answer.
            replies = self._peers.ask(
                {name: request_of(self._call, "GET", ["sessions"], self._query(*one)) for name, one in others.items()},
                min(PATIENCE, self._left),
                own,
            )  # fmt: skip
            for name, reply in replies.items():
                if isinstance(reply, PeerFailure):
                    continue
                part = self._reads.checked(name, reply, "Sessions")
                if not isinstance(part, PeerFailure) and (kept := _part(name, part, *others[name])):
                    found[name] = kept
                elif not isinstance(part, PeerFailure):
                    self._peers.failed(name, PeerFailure.MALFORMED)
        self._left -= monotonic() - waiting_since
        self._missing |= others.keys() - found.keys()
        return found

    def _query(self, after: int, limit: int) -> dict[str, str]:
        filters = ("mcp", "state", "token", "client")
        told = {name: self._call.query[name] for name in filters if self._call.query[name] is not None}
        return {name: text_of(name, value) for name, value in told.items()} | {
            "cursor": str(after),
            "limit": str(limit),
        }


def _number(session: Json) -> int:
    return int(session["id"].rpartition(":")[2])


def _part(name: str, body: Json, after: int, most: int) -> SessionPart | None:
    """The part in another controller's answer. None for an answer with foreign, unordered or too many sessions: with such
    an answer a page could show a session twice, or pages could never end."""
    sessions, following = body["sessions"], body["next"]
    numbers = []
    for session in sessions:
        owner, _, number = session["id"].rpartition(":")
        if owner != name or not _is_number(number):
            return None
        numbers.append(int(number))
    if len(numbers) > most or numbers != sorted({*numbers}) or any(number <= after for number in numbers):
        return None
    if not 0 <= body["total"] < 1 << 32:
        return None
    if following is None:
        return SessionPart(sessions, body["total"], None)
    if not _is_number(following) or int(following) < max([after + 1, *numbers[-1:]]):
        return None
    return SessionPart(sessions, body["total"], int(following))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18
