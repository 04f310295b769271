"""Selects, of the entries that were read from a switch, those of this controller's own sessions. Entries of other
controllers' sessions must not become sessions here. Which flows are joins of such sessions is remembered: their later segments are for
the sessions' owners."""

from collections.abc import Callable, Collection, Generator

from steering.core.inputs import EntriesRead, ObservedEntry
from steering.core.long_work import portions
from steering.core.peers.followed_table import FollowedTable
from steering.core.peers.segment_routes import SegmentRoutes
from steering.core.peers.token_replicas import TokenReplicas
from steering.core.sessions.flow_key import NO_FLOW, FlowKey, flow_key
from steering.model.ids import DatapathId
from steering.model.session import Entry, EntryKind, SessionCookie, unpack_cookie

LOOK = 4  # reading so many cookies counts as much work as beginning one session


class OwnEntries:
    """`members` returns the other controllers that are there; `reached`: those of them that can be reached now. `is_whole` returns
    whether all of them can be reached and have sent all of their tokens. `unread`: switches whose entries were not read yet."""

    def __init__(
        self,
        table: FollowedTable,
        routes: SegmentRoutes,
        replicas: TokenReplicas,
        members: Callable[[], Collection[str]],
        reached: Collection[str],
        is_whole: Callable[[], bool],
        unread: Collection[DatapathId],
    ) -> None:
        self._table = table
        self._routes = routes
        self._replicas = replicas
        self._members = members
        self._reached = reached
        self._is_whole = is_whole
        self._unread = unread

    def of(
        self, read: EntriesRead
    ) -> Generator[int, float, Callable[[list[ObservedEntry]], list[ObservedEntry]]]:
        """A function that removes the entries of others' sessions from a list. To make the function, all entries are
        examined first, a portion at a time (core.long_work)."""
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
        first = read.dpid in self._unread
        return lambda some: [one for one in some if not self._is_others(one.entry, began, first)]

    def _is_others(self, entry: Entry, began: Collection[int], first: bool) -> bool:
        """The same as `_is_of_others`. Remembers the flow of another controller's join: who decided for the switch before has forwarded
        that join, and nobody else knows where its FIN, or an ICMP error about it, has to go."""
        if not self._is_of_others(entry, began, first):
            return False
        cookie = unpack_cookie(entry.cookie)
        if cookie is not None and cookie.kind is EntryKind.JOIN:
            self._routes.passed_on(_flow(entry), cookie.token)
        return True

    def _is_of_others(self, entry: Entry, began: Collection[int], first: bool) -> bool:
        """Whether an entry at an own switch belongs to a session of another controller. `first`: the switch was not read before.

        A controller that is there and cannot be reached still has its sessions, so their entries stay. When another controller takes its
        switches over, that controller reads its own switches once more. A switch that is read for the first time may have joins of own
        sessions that are not known yet. Therefore, at such a switch, no entry counts as one of a controller that cannot be reached.

        A session belongs to the controller at whose switch its initial subflow came in. `began`: the initial subflows at this
        switch, by MCP and token, and by MCP, token and flow. For other entries, the tokens that the other controllers have
        sent decide. A server leg has the initial flow of its session, which distinguishes two sessions with one token.
        """
        cookie, members = unpack_cookie(entry.cookie), self._members()
        if not members or cookie is None or cookie.kind is EntryKind.INITIAL:
            return False
        near = self._reached if first else members
        if not (cookie.pending or cookie.plain):
            own: tuple[object, ...] = (cookie.mcp, cookie.token)
            if cookie.kind is EntryKind.RETURN:
                own = (*own, flow_key(entry.dst, entry.src, entry.dport, entry.sport))
            if hash(own) in began or self._is_of_own(entry, cookie):
                return False
            if any(name in near for name in self._replicas.holders(cookie.token)):
                return True
        if cookie.kind is EntryKind.JOIN:
            return bool(near) and not self._is_whole()
        home = self._routes.at_home(entry.dst, entry.src)
        return self._routes.me not in home and any(name in members for name in home)

    def _is_of_own(self, entry: Entry, cookie: SessionCookie) -> bool:
        """Whether the session of an entry with a token is in the table. MCPs choose keys each for itself, so another controller's
        session may have the same token at another MCP. The entry of a server leg also shows the initial flow of its session. The
        flow distinguishes it from another controller's session with the same token and MCP."""
        own = [one for one in self._table.with_token(cookie.token) if one.mcp == cookie.mcp]
        if cookie.kind is not EntryKind.RETURN:
            return bool(own)
        first = flow_key(entry.dst, entry.src, entry.dport, entry.sport)
        return any(session.first in (NO_FLOW, first) for session in own)


def _flow(entry: Entry) -> FlowKey:
    return flow_key(entry.src, entry.dst, entry.sport, entry.dport)


def _begins(cookie: SessionCookie) -> bool:
    """Whether a cookie is of an initial subflow whose token is known."""
    return cookie.kind is EntryKind.INITIAL and not (cookie.pending or cookie.plain)
