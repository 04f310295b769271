"""Which of the entries that a switch tells are of this controller's own sessions: those of others' make no session here."""

from collections.abc import Callable, Collection

from steering.core.inputs import EntriesRead
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.model.session import Entry, EntryKind, SessionCookie, unpack_cookie


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
        cookies = [unpack_cookie(one.entry.cookie) for one in read.entries]
        began = {cookie.token for cookie in cookies if cookie is not None and _begins(cookie)}
        return read._replace(
            entries=[
                one
                for one, cookie in zip(read.entries, cookies, strict=True)
                if cookie is None or not self._is_of_others(one.entry, cookie, began)
            ]
        )

    def _is_of_others(self, entry: Entry, cookie: SessionCookie, began: Collection[int]) -> bool:
        """Whether an entry at an own switch is of a session of a controller that can be reached. A session's own
        controller has its initial subflow (`began`: the tokens of those that this switch tells of); what the others told
        last tells whose the rest is."""
        if cookie.kind is EntryKind.INITIAL:
            return False
        if not (cookie.pending or cookie.plain):
            if cookie.token in began or self._table.knows_token(cookie.token):
                return False
            if any(name in self._reached for name in self._replicas.holders(cookie.token)):
                return True
        if cookie.kind is EntryKind.JOIN:
            return not self._is_whole()
        home = self._routes.at_home(entry.dst, entry.src)
        return self._routes.me not in home and any(name in self._reached for name in home)


def _begins(cookie: SessionCookie) -> bool:
    """Whether it is of an initial subflow whose token is known."""
    return cookie.kind is EntryKind.INITIAL and not (cookie.pending or cookie.plain)
