"""Which of the entries that a switch tells are of this controller's own sessions: those of others' make no session here."""

from collections.abc import Callable, Collection

from steering.core.inputs import EntriesRead
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.model.session import Entry, EntryKind, unpack_cookie


class OwnEntries:
    """`reached`: who can be reached now. `is_whole`: whether all of them have told all of their tokens."""

    def __init__(
        self,
        table: FollowedTable,
        routes: SegmentRoutes,
        replicas: TokenReplicas,
        reached: Collection[str],
        is_whole: Callable[[], bool],
    ) -> None:
        self._table = table
        self._routes = routes
        self._replicas = replicas
        self._reached = reached
        self._is_whole = is_whole

    def of(self, read: EntriesRead) -> EntriesRead:
        """The same without entries of others' sessions."""
        if not self._reached:
            return read
        return read._replace(entries=[one for one in read.entries if not self._is_of_others(one.entry)])

    def _is_of_others(self, entry: Entry) -> bool:
        """Whether an entry at an own switch is of a session of a controller that can be reached. A session's own
        controller has its initial subflow; what that controller told last tells whose the others are."""
        cookie = unpack_cookie(entry.cookie)
        if cookie is None or cookie.kind is EntryKind.INITIAL:
            return False
        if not (cookie.pending or cookie.plain):
            if self._table.knows_token(cookie.token):
                return False
            if any(name in self._reached for name in self._replicas.holders(cookie.token)):
                return True
        if cookie.kind is EntryKind.JOIN:
            return not self._is_whole()
        home = self._routes.at_home(entry.dst, entry.src)
        return self._routes.me not in home and any(name in self._reached for name in home)
