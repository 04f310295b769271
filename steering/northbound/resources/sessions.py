"""/v1/sessions: M-sessions a page at a time, one by one, and their end."""

from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import Any

from steering.core.inputs import AbortSession
from steering.model.control import Control
from steering.model.view import Pause, SessionFilter
from steering.northbound.http.exchange import MAX_ID, Call, RestReply
from steering.northbound.http.problems import not_found, shown
from steering.northbound.resources.mcps import check_mcp
from steering.northbound.schema.view import View

ACCEPTED = int(HTTPStatus.ACCEPTED)


class Sessions:
    """`pause` lets others have a turn in the middle of a search; one search goes on at a time."""

    def __init__(
        self, view: View, control: Control, searching: AbstractContextManager[Any], pause: Pause
    ) -> None:
        self._view = view
        self._control = control
        self._searching = searching
        self._pause = pause

    def listed(self, call: Call) -> RestReply:
        query = call.query
        wanted = SessionFilter(query["mcp"], query["state"], query["token"], query["client"])
        with self._searching if wanted != SessionFilter() else nullcontext():
            page, total, more = self._view.sessions(query["cursor"], query["limit"], wanted, self._pause)
        if wanted.mcp is not None and not total:
            check_mcp(self._view, wanted.mcp)
        following = None if more is None else {**call.query, "cursor": more}
        body = {"sessions": page, "total": total, "next": None if more is None else str(more)}
        return RestReply(body, next_query=following)

    def one(self, call: Call) -> RestReply:
        wanted = call.path["id"]
        found = self._view.session(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no session {shown(wanted)}")
        return RestReply(found)

    def paths(self, call: Call) -> RestReply:
        wanted = call.path["id"]
        found = self._view.paths(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no session {shown(wanted)}")
        return RestReply(found)

    def aborted(self, call: Call) -> RestReply:
        """Of an abort that is under way, or was one of the last. Raises Problem 404."""
        wanted = call.path["id"]
        found = self._view.aborted(wanted) if len(wanted) <= MAX_ID else None
        if found is None:
            raise not_found(f"no abort of a session {shown(wanted)}")
        return RestReply(found)

    def abort(self, call: Call) -> RestReply:
        wanted = call.path["id"]
        self.one(call)  # 404 where there is none
        if not (wanted.isascii() and wanted.isdecimal()):
            raise not_found(f"no session {shown(wanted)}")
        self._control.take(AbortSession(int(wanted)))
        return RestReply({"id": wanted}, status=ACCEPTED)
