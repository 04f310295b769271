"""Which of the entries that a switch tells are of this controller's own sessions: those of others' make no session here."""

from collections.abc import Callable, Collection, Generator

from steering.core.inputs import EntriesRead, ObservedEntry
from steering.core.long_work import portions
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, flow_key
from steering.model.session import Entry, EntryKind, SessionCookie, unpack_cookie

LOOK = 4  # looks at a cookie that take as long as a session that begins


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

    def of(
        self, read: EntriesRead
    ) -> Generator[int, float, Callable[[list[ObservedEntry]], list[ObservedEntry]]]:
        """What leaves those of others' sessions out of some of the entries. All are looked at first, a portion at a time
        (core.long_work)."""
        began: set[int] = set()
        done = 0
        for portion in portions(read.entries):
            yield done
            for one in portion:
                cookie = unpack_cookie(one.entry.cookie)
                if cookie is not None and _begins(cookie):
                    began.add(hash((cookie.mcp, cookie.token)))
                    began.add(hash((cookie.mcp, cookie.token, _flow(one.entry))))
            done = len(portion) // LOOK
        yield done
        return lambda some: [one for one in some if not self._is_of_others(one.entry, began)]

    def _is_of_others(self, entry: Entry, began: Collection[int]) -> bool:
        """Whether an entry at an own switch is of a session of a controller that can be reached. A session's own
        controller has its initial subflow (`began`: those that this switch tells of, by MCP and token, and by these and the flow);
        what the others told last tells whose the rest is. A server leg tells its session's initial flow: that of another's
        session is no own one's, though the two have one token."""
        cookie = unpack_cookie(entry.cookie)
        if not self._reached or cookie is None or cookie.kind is EntryKind.INITIAL:
            return False
        if not (cookie.pending or cookie.plain):
            own: tuple[object, ...] = (cookie.mcp, cookie.token)
            if cookie.kind is EntryKind.RETURN:
                own = (*own, flow_key(entry.dst, entry.src, entry.dport, entry.sport))
            if hash(own) in began or self._is_of_own(entry, cookie):
                return False
            if any(name in self._reached for name in self._replicas.holders(cookie.token)):
                return True
        if cookie.kind is EntryKind.JOIN:
            return not self._is_whole()
        home = self._routes.at_home(entry.dst, entry.src)
        return self._routes.me not in home and any(name in self._reached for name in home)

    def _is_of_own(self, entry: Entry, cookie: SessionCookie) -> bool:
        """Whether the session of an entry with a token is in the table. A server leg tells its session's initial flow, too:
        another controller's session with the same token and MCP has another one."""
        if cookie.kind is not EntryKind.RETURN:
            return self._table.knows_token(cookie.token)
        first = flow_key(entry.dst, entry.src, entry.dport, entry.sport)
        return any(
            session.mcp == cookie.mcp and session.first in (NO_FLOW, first)
            for session in self._table.with_token(cookie.token)
        )


def _flow(entry: Entry) -> FlowKey:
    return flow_key(entry.src, entry.dst, entry.sport, entry.dport)


def _begins(cookie: SessionCookie) -> bool:
    """Whether it is of an initial subflow whose token is known."""
    return cookie.kind is EntryKind.INITIAL and not (cookie.pending or cookie.plain)
