"""A session table that records which tokens came and ended, for messages to other controllers."""

from collections.abc import Callable, Iterable

from steering.core.peers.limit_parts import SharedLedger
from steering.core.peers.token_replicas import ANYWHERE, TokenSum, facts_of
from steering.core.selection.quotas import limits_of
from steering.core.sessions.flow_key import FlowKey, OriginOf
from steering.core.sessions.records import Session
from steering.core.sessions.table import SessionTable
from steering.model.ids import McpId, Token
from steering.model.policy import Limits, Policy
from steering.model.session import Entry, SessionState
from steering.wire.peer_messages import TokenEntry


class FollowedTable(SessionTable):
    """The session table of a controller in a cluster.

    `learnt` and `ended`: sessions (by number) whose tokens came or ended since the last messages. The exchange empties
    both. `leaves` returns whether a session leaves with a switch that this controller has given up.
    """

    def __init__(
        self, limits: Limits, mcps: Iterable[int], hosts_move: bool, origin_of: OriginOf,
        leaves: Callable[[Session], bool],
    ) -> None:  # fmt: skip
        super().__init__(limits, mcps, hosts_move, origin_of)
        self.learnt: list[tuple[int, TokenEntry]] = []
        self.ended: list[tuple[int, TokenEntry]] = []
        self.sum = TokenSum()
        self.leaves = leaves
        self.ledger = self.shared = SharedLedger(limits.sessions)
        # What others were told of sessions that were read back from switches. The record of such a session may learn its
        # initial subflow later, but its end has to be announced with the same entry.
        self._told: dict[int, TokenEntry] = {}

    def limited_by(self, policy: Policy) -> None:
        """The policy has these limits from now on."""
        self.shared.keep(limits_of(policy))

    def holds(self, flow: FlowKey) -> bool:
        """Whether a flow belongs to a session of this table that does not leave."""
        subflow = self.flows.get(flow)
        return subflow is not None and not self.leaves(subflow.session)

    def told(self, session: Session) -> TokenEntry | None:
        """The entry that announces a session to others. None if its token is not known, or if no host's join can carry
        the token."""
        known = self._told.get(session.id)
        if known is not None:
            return known
        if session.token < 0 or session.reverse or session not in self.with_token(session.token):
            return None
        return entry_of(session)

    def learn(self, session: Session, token: Token) -> None:
        super().learn(session, token)
        self._note(session)

    def restore(
        self, state: SessionState, entry: Entry, mcp: McpId, token: Token, key: FlowKey, packets: int, size: int,
        now: float,
    ) -> Session:  # fmt: skip
        session = super().restore(state, entry, mcp, token, key, packets, size, now)
        self._note(session)
        return session

    def unlearn(self, session: Session) -> None:
        told = self.told(session)
        super().unlearn(session)
        if told is not None:
            self._told.pop(session.id, None)
            self.ended.append((session.id, told))
            self.sum.take(told.token, facts_of(*told[1:]))

    def _note(self, session: Session) -> None:
        told = self.told(session)
        if told is None:
            return
        if session.ruling is None:
            self._told[session.id] = told
        self.learnt.append((session.id, told))
        self.sum.add(told.token, facts_of(*told[1:]))


def entry_of(session: Session) -> TokenEntry:
    """The entry of a session whose token is known."""
    if not session.first:
        return TokenEntry(session.token, session.mcp, *ANYWHERE)
    flow = session.flow
    return TokenEntry(session.token, session.mcp, flow.destination, flow.destination_port)
