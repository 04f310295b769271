"""Joins with an unknown token. The packet with the token may still be under way. Therefore a join waits a moment. After that,
its token counts as wrong.
"""

from collections.abc import Callable

from steering.core.counters import Counters, JoinResult
from steering.core.handshakes.native_mptcp import NativeSessions
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.handshakes.replies import Replies
from steering.core.handshakes.room import Readiness
from steering.core.handshakes.token_guesses import TokenGuesses
from steering.core.handshakes.unknown_token_block import UnknownTokenBlocks
from steering.core.inputs import SynSeen
from steering.core.network.site_index import Attachment
from steering.core.outputs import Output, naturally
from steering.core.sessions.flow_key import OriginOf, flow_key
from steering.core.sessions.pending_joins import PendingJoins
from steering.model.ids import Token, read_token
from steering.model.mechanism import Mechanism
from steering.model.policy import UnknownJoin
from steering.model.session import Refusal
from steering.wire.mptcp import ResetReason


class EarlyJoins:
    """Holds joins with an unknown token.

    `is_certain` returns whether an unknown token belongs to no session at all. It returns False while another controller may
    know the token. It gets the token and the time. `origin_of`: see SiteMap.origin_of. `disabled` names mechanisms that are off for
    negative controls.
    """

    def __init__(
        self,
        waiting: PendingJoins,
        blocks: UnknownTokenBlocks,
        readiness: Readiness,
        in_force: PolicyInForce,
        replies: Replies,
        natives: NativeSessions,
        counters: Counters,
        disabled: frozenset[Mechanism],
        is_certain: Callable[[Token, float], bool],
        origin_of: OriginOf,
    ) -> None:
        self.guesses = TokenGuesses(origin_of, Mechanism.TOKEN_GUESSES in disabled)
        self._waiting = waiting
        self._blocks = blocks
        self._readiness = readiness
        self._in_force = in_force
        self._replies = replies
        self._natives = natives
        self._counters = counters
        self._is_certain = is_certain
        self._holds = Mechanism.HOLD_QUEUE not in disabled
        self._blocking = Mechanism.STRAY_DROP not in disabled

    def came(self, attachment: Attachment, seen: SynSeen, token: Token, now: float) -> list[Output]:
        """Hold a join with an unknown token (G5). If it were forwarded, it would fail and the host would give the subflow
        up."""
        if not self._holds:
            return [naturally(attachment, seen)]
        if self._readiness.recovering:
            self._refused(Refusal.RECOVERING)
            return []  # dropped without an answer: the host repeats it, and the token may be known then
        if not self._waiting.add(token, attachment, seen, now):
            self._refused(Refusal.HOLD_QUEUE_FULL)
            self._wrong(seen, now)
            return []
        self._counters.joins[JoinResult.HELD] += 1
        return []

    def tick(self, now: float) -> list[Output]:
        """End the wait of joins whose token did not become known. They are dropped silently, or reset if the policy says so.

        A join to a server that may itself speak MPTCP with hosts takes its natural path, because only the server knows its
        tokens.
        """
        outputs: list[Output] = []
        self.guesses.expire(now)
        for attachment, seen in self._waiting.expire(now):
            if self._natives.may_have(seen.handshake.dst, now):
                outputs.append(naturally(attachment, seen))
                continue
            if not self._is_certain(read_token(seen.handshake.token, "big"), now):
                self._refused(Refusal.PEER_UNREACHABLE)
                continue
            self._refused(Refusal.UNKNOWN_TOKEN)
            self._wrong(seen, now)
            if self._blocking:
                outputs += self._blocks.block(seen, now)
            if self._in_force.policy.unknown_join is UnknownJoin.RESET:
                outputs += self._replies.refuse(seen, ResetReason.MPTCP_ERROR)
        return outputs

    def _wrong(self, seen: SynSeen, now: float) -> None:
        handshake = seen.handshake
        self.guesses.wrong(flow_key(handshake.src, handshake.dst, handshake.sport, handshake.dport), now)

    def barred(self) -> list[Output]:
        """Refuse a join from a source that guesses tokens. It gets no answer, whatever its token is."""
        self._refused(Refusal.TOKEN_GUESSES)
        return []

    def _refused(self, reason: Refusal) -> None:
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[reason] += 1
