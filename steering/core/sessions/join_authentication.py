"""Learns the keys of sessions, and authenticates joins by their HMAC (D-6.4h).

A watched entry sends copies of its segments to the controller. On the initial subflow, the third ACK or the first data carry
both keys (RFC 8684 3.1). On a join, the third ACK carries an HMAC made with both keys (3.2). After a restart of the controller,
keys are not known. Then joins are admitted by their token alone, and counted. To refuse them would end pooling at every
restart, and the MCP checks the HMAC itself.
"""

from collections.abc import Callable
from hmac import compare_digest

from steering.core.counters import Counters, JoinResult
from steering.core.inputs import SynSeen, WatchedSeen
from steering.core.outputs import Output, Steer
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.session_keys import Secrets
from steering.core.sessions.table import SessionTable
from steering.core.sessions.teardown import Teardown
from steering.model.ids import Token, read_token
from steering.model.session import EntryKind, Refusal, Watch
from steering.wire.crypto import join_ack_hmac
from steering.wire.crypto import token as token_of
from steering.wire.decode import mptcp_options
from steering.wire.handshake import Handshake, Kind
from steering.wire.mptcp import MpJoinAck, ResetReason
from steering.wire.segment import Flags, read_segment

Refuse = Callable[[SynSeen | WatchedSeen, ResetReason], list[Output]]
_SEQUENCE = 0xFFFF_FFFF
_ROLE_IN_HANDSHAKE = Flags.SYN | Flags.RST | Flags.ACK


class Proof:
    """What is known of a join's proof. `seen`: the join's last segment, to which a reset would be sent."""

    __slots__ = ("deadline", "expected", "hmac", "nonce", "seen", "subflow", "theirs")

    def __init__(self, subflow: Subflow, seen: SynSeen, deadline: float) -> None:
        self.subflow = subflow
        self.seen: SynSeen | WatchedSeen = seen
        self.deadline = deadline
        self.nonce = seen.handshake.nonce
        self.theirs = b""  # the MCP's nonce
        self.expected = -1  # the acknowledgement number that the third ACK must have
        self.hmac = (-1, b"")  # the acknowledgement number and the HMAC of the third ACK


class KeyWatch:
    """Learns keys and judges joins for sessions whose rule or policy wants this. Other sessions never come here."""

    def __init__(
        self,
        table: SessionTable,
        teardown: Teardown,
        counters: Counters,
        refuse: Refuse,
    ) -> None:
        self._table = table
        self._teardown = teardown
        self._counters = counters
        self._refuse = refuse
        self._learning: dict[int, tuple[float, Session]] = {}  # in order of deadlines
        self._proofs: dict[FlowKey, Proof] = {}  # by flow key, in order of deadlines
        self.host_tokens: list[Token] = []  # of hosts' keys verified since the last `take_host_tokens`

    # ---- keys -----------------------------------------------------------------------------------

    def begin(self, session: Session, proving: bool, now: float) -> None:
        """A session begins whose keys are wanted. Its initial subflow is watched until both keys were seen. `proving`: joins
        have to prove that they know the keys."""
        session.keep(Secrets(proving))
        session.subflows[0].watch = Watch.COPY
        # The SYN/ACK may take `half_open` seconds, and the segments after it as long again.
        self._learning[session.id] = (now + 2 * self._teardown.timers.half_open, session)

    def shown(self, subflow: Subflow, seen: WatchedSeen, now: float) -> list[Output]:
        """Take the copy of a segment of a watched subflow."""
        if subflow.kind is not EntryKind.INITIAL:
            return self._third_ack(subflow, seen, now)
        handshake, session = seen.handshake, subflow.session
        secrets = session.secrets
        if secrets is None or secrets.verified or handshake.kind is not Kind.CAPABLE:
            return []
        if not (handshake.key and handshake.peer_key):
            return []
        # The copy of the SYN/ACK comes from another switch, perhaps later. Until then the keys are kept unverified.
        secrets.host, secrets.mcp = handshake.key, handshake.peer_key
        if not self.verify(session):
            return []
        self._teardown.heard(session)
        return [*self._entry(subflow), *self.judge_all(session, now)]

    def verify(self, session: Session) -> bool:
        """Check the keys that were seen against the session's token, if both are known. If they fit, the watch ends. Returns
        whether they fit."""
        secrets = session.secrets
        if secrets is None or not secrets.mcp or session.token < 0:
            return False
        token = token_of(session.version, secrets.mcp)
        if int.from_bytes(token, "big") != session.token:
            secrets.wipe()
            return False
        secrets.verified = True
        host_token = read_token(token_of(session.version, secrets.host), "big")
        self._table.learn_host(session, host_token)
        self.host_tokens.append(host_token)
        self._rest(session)
        return True

    def take_host_tokens(self) -> list[Token]:
        """The tokens of hosts' keys that became known since the last call. Joins of MCPs may wait for them."""
        taken, self.host_tokens = self.host_tokens, []
        return taken

    def forget(self, session: Session) -> None:
        """Give up learning keys: the session fell back to plain TCP, or no keys were seen in time."""
        if session.secrets is not None:
            session.secrets.wipe()
            session.keep(None)
        self._rest(session)

    def _rest(self, session: Session) -> Subflow | None:
        """End the watch of the initial subflow. Returns the subflow, None if it was not watched."""
        self._learning.pop(session.id, None)
        subflow = self._table.flows.get(session.first)
        if subflow is None or subflow.session is not session or subflow.watch != Watch.COPY:
            return None
        subflow.watch = Watch.NOTHING
        return subflow

    # ---- joins ----------------------------------------------------------------------------------

    def has_room(self) -> bool:
        return len(self._proofs) < self._table.limits.half_open

    def challenge(self, subflow: Subflow, seen: SynSeen, now: float) -> None:
        """A join goes to its MCP, and has to prove that its host knows both keys. Its entry is watched."""
        subflow.watch = Watch.COPY
        self._proofs.pop(subflow.key, None)
        self._proofs[subflow.key] = Proof(subflow, seen, now + self._teardown.timers.half_open)

    def answered(self, subflow: Subflow, handshake: Handshake, now: float) -> list[Output]:
        """Take the MCP's SYN/ACK to a join: it has the MCP's nonce, and determines what the third ACK has to acknowledge."""
        proof = self._proof(subflow)
        if proof is None or handshake.kind is not Kind.JOIN or handshake.ack != _next(subflow.isn):
            return []
        proof.theirs, proof.expected = handshake.nonce, _next(handshake.seq)
        return self._judge(proof, now)

    def _third_ack(self, subflow: Subflow, seen: WatchedSeen, now: float) -> list[Output]:
        proof = self._proof(subflow)
        handshake = seen.handshake
        if proof is None or handshake.flags & _ROLE_IN_HANDSHAKE != Flags.ACK:
            return []
        proof.seen = seen
        if handshake.kind is not Kind.JOIN or handshake.seq != _next(subflow.isn):
            return []
        for option in mptcp_options(read_segment(seen.frame).options, subflow.session.version):
            if isinstance(option, MpJoinAck):
                proof.hmac = (handshake.ack, option.hmac)
                return self._judge(proof, now)
        return []

    def judge_all(self, session: Session, now: float) -> list[Output]:
        """The session's keys are known: judge the joins whose third ACK was seen already."""
        proofs = [proof for subflow in session.subflows if (proof := self._proof(subflow))]
        return [output for proof in proofs for output in self._judge(proof, now)]

    def _judge(self, proof: Proof, now: float) -> list[Output]:
        secrets, (acknowledged, hmac) = proof.subflow.session.secrets, proof.hmac
        if secrets is None or not secrets.verified or not proof.theirs or acknowledged != proof.expected:
            return []  # something is not known yet, or the MCP would not accept this segment as the third ACK
        version = proof.subflow.session.version
        right = join_ack_hmac(version, secrets.host, secrets.mcp, proof.nonce, proof.theirs)
        if compare_digest(right, hmac):
            return self._admit(proof.subflow, JoinResult.AUTHENTICATED)
        return self._turn_down(proof, now)

    def _admit(self, subflow: Subflow, how: JoinResult) -> list[Output]:
        self._proofs.pop(subflow.key, None)
        subflow.watch = Watch.NOTHING
        subflow.was_heard()  # also without a proof, because the entry is written again and counts anew
        self._counters.joins[JoinResult.PINNED] += 1
        self._counters.joins[how] += 1
        return self._entry(subflow)

    def _turn_down(self, proof: Proof, now: float) -> list[Output]:
        del self._proofs[proof.subflow.key]
        self._counters.joins[JoinResult.REFUSED] += 1
        self._counters.refusals[Refusal.AUTHENTICATION] += 1
        outputs = self._teardown.end_subflow(proof.subflow, now)
        return outputs + self._refuse(proof.seen, ResetReason.ADMINISTRATIVELY_PROHIBITED)

    def _proof(self, subflow: Subflow) -> Proof | None:
        """The proof that a subflow owes. None if it owes none any more, as its session is being aborted."""
        proof = self._proofs.get(subflow.key)
        owed = proof is not None and proof.subflow is subflow and subflow.watch == Watch.COPY
        return proof if owed else None

    def _entry(self, subflow: Subflow) -> list[Output]:
        """Write the subflow's entry again, with its present watch."""
        entry = subflow.session.entry(subflow)
        return [Steer((entry,), None)] if entry else []

    # ---- time -----------------------------------------------------------------------------------

    def recovered(self, subflow: Subflow) -> list[Output]:
        """A watched entry was read back from a switch. The keys and nonces are lost, so the watch ends."""
        if subflow.kind is EntryKind.JOIN:
            return self._admit(subflow, JoinResult.TOKEN_ONLY)
        subflow.watch = Watch.NOTHING
        return self._entry(subflow)

    def tick(self, now: float) -> list[Output]:
        """End watches and proofs whose time is over."""
        outputs: list[Output] = []
        while self._learning:
            deadline, session = next(iter(self._learning.values()))
            if deadline > now:
                break
            del self._learning[session.id]
            if self._table.by_id.get(session.id) is session:
                subflow = self._rest(session)
                self.forget(session)
                outputs += self._entry(subflow) if subflow else []
        while self._proofs:
            key, proof = next(iter(self._proofs.items()))
            if proof.deadline > now:
                break
            subflow = proof.subflow
            if self._table.flows.get(key) is not subflow or subflow.watch != Watch.COPY:
                del self._proofs[key]
            elif subflow.session.secrets is None or not subflow.session.secrets.verified:
                outputs += self._admit(subflow, JoinResult.TOKEN_ONLY)
            else:
                outputs += self._turn_down(proof, now)
        return outputs


def _next(sequence: int) -> int:
    return sequence + 1 & _SEQUENCE
