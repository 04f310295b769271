"""/v1/sessions and /v1/aborts: pages of M-sessions, one M-session, its paths, its abort and what came of it."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any

from steering.core.inputs import AbortSession
from steering.model.control import Control
from steering.model.view import Pause, SessionFilter
from steering.northbound.http.exchange import MAX_ID, Call, RestReply
from steering.northbound.http.problems import bad_request, not_found, shown
from steering.northbound.resources.mcps import check_mcp
from steering.northbound.resources.peer_reads import PeerReads
from steering.northbound.resources.session_pages import OwnSessions, SessionPages, SessionPart
from steering.northbound.schema.view import View

Json = dict[str, Any]

ACCEPTED = int(HTTPStatus.ACCEPTED)


class Sessions:
    """`searching` is held during a search with a filter, so that one search runs at a time. `pause` lets other threads run
    in the middle of a search. `reads` asks other controllers."""

    def __init__(
        self,
        view: View,
        control: Control,
        searching: AbstractContextManager[Any],
        pause: Pause,
        reads: PeerReads,
    ) -> None:
        self._reads = reads
        self._pages = None if reads.peers is None else SessionPages(reads, reads.peers)
        self._view = view
        self._control = control
        self._searching = searching
        self._pause = pause

    def listed(self, call: Call) -> RestReply:
        query = call.query
        wanted = SessionFilter(query["mcp"], query["state"], query["token"], query["client"])

        def own(after: int, limit: int) -> SessionPart:
            with self._searching if wanted != SessionFilter() else nullcontext():
                return SessionPart(*self._view.sessions(after, limit, wanted, self._pause))

        if self._pages is not None and not call.asked_by:
            reply = self._pages.page(call, own)
        else:
            reply = self._alone(call, own)
        if wanted.mcp is not None and isinstance(reply.body, dict) and not reply.body["total"]:
            check_mcp(self._view, wanted.mcp)
        return reply

    def _alone(self, call: Call, own: OwnSessions) -> RestReply:
        """A page of this controller's sessions alone."""
        if call.query["controller"] is not None:
            raise bad_request("this is no cluster whose controllers can be asked one by one")
        page, total, more = own(call.query["cursor"].after, call.query["limit"])
        following = None if more is None else {**call.query, "cursor": more}
        told = None if more is None else str(more)
        return RestReply(
            {"sessions": page, "total": total, "next": told, "incomplete": []}, next_query=following
        )

    def one(self, call: Call) -> RestReply:
        return self._told(call, self._view.session, [], "Session")

    def paths(self, call: Call) -> RestReply:
        return self._told(call, self._view.paths, ["paths"], "SessionPaths")

    def aborted(self, call: Call) -> RestReply:
        """The state of an abort that is under way or was one of the last. Raises Problem 404."""
        wanted = call.path["id"]
        owner = self._reads.owner(call)
        if owner:
            return self._reads.passed_on(owner, call, "GET", ["aborts", wanted], "AbortReport")
        found = self._view.aborted(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no abort of a session {shown(wanted)}")
        return RestReply(found)

    def abort(self, call: Call) -> RestReply:
        wanted = call.path["id"]
        owner = self._reads.owner(call)
        if owner:
            return self._reads.passed_on(owner, call, "DELETE", ["sessions", wanted], "Abort")
        self.one(call)  # 404 where there is none
        number = wanted.rpartition(":")[2]
        if not (number.isascii() and number.isdecimal()):
            raise not_found(f"no session {shown(wanted)}")
        self._control.take(AbortSession(int(number)))
        return RestReply({"id": wanted}, status=ACCEPTED)

    def _told(
        self, call: Call, found_by: Callable[[str], Json | None], more: list[str], schema: str
    ) -> RestReply:
        wanted = call.path["id"]
        owner = self._reads.owner(call)
        if owner:
            return self._reads.passed_on(owner, call, "GET", ["sessions", wanted, *more], schema)
        found = found_by(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no session {shown(wanted)}")
        return RestReply(found)
