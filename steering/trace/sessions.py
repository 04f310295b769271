"""Puts an MPTCP connection together from its legs: version, keys, fallback, and the results of checking joins and
fast closes."""

from dataclasses import dataclass
from enum import StrEnum

from steering.wire.crypto import join_ack_hmac, join_syn_ack_hmac, token
from steering.wire.mptcp import MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck

from .legs import Leg
from .options import LATEST_VERSION
from .resets import Reset


class Hmac(StrEnum):
    """Whether the HMACs of a join verify."""

    OK = "ok"
    BAD = "bad"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True)
class TracedSubflow:
    """One subflow, in the direction of the host that opened it. Addresses have 4 or 16 bytes."""

    src: bytes
    sport: int
    dst: bytes
    dport: int
    join: bool
    address_id: int
    backup: bool
    hmac: Hmac
    reset: Reset | None
    fastclose: bool  # MP_FASTCLOSE with the receiver's key, or with one that cannot be checked
    fastclose_refused: bool  # MP_FASTCLOSE with another key, which its receiver ignores (RFC 8684 3.5)


@dataclass(frozen=True, slots=True)
class Connection:
    """One MPTCP connection, or one plain TCP connection. Tokens have 4 bytes, or are None where the capture has no
    key."""

    version: int | None
    initiator_token: bytes | None
    responder_token: bytes | None
    fallback: bool
    subflows: tuple[TracedSubflow, ...]
    begun_before: bool = False
    initiator_denies_joins: bool = (
        False  # flag C of its MP_CAPABLE: no joins to the address that it was sent from
    )
    responder_denies_joins: bool = False
    keys_differ: bool = False  # the third ACK repeats another key than the handshake began with


class ConnectionDraft:
    """A connection that is being put together: its first leg, or a join without its connection, and further joins."""

    def __init__(self, leg: Leg, responder_token: bytes | None = None) -> None:
        self.order = leg.order
        self.first = leg
        self.joins: list[Leg] = []
        self.version: int | None = None
        self.initiator_key = b""
        self.responder_key = b""
        self.fallback = False
        self.keys_differ = False
        self.initiator_token: bytes | None = None
        self.responder_token = responder_token
        if not leg.is_join and not leg.is_plain:
            self._learn(leg)

    def _learn(self, leg: Leg) -> None:
        offer = leg.offer if isinstance(leg.offer, MpCapable) else None
        answer = leg.answer if isinstance(leg.answer, MpCapable) else None
        third = self._third(leg, answer)
        agreed = answer or third or offer
        if agreed is None:
            return
        self.version = agreed.version
        refused = leg.answered and answer is None and third is None
        initiator = leg.sides[0]
        if refused or (initiator.went_on and not initiator.kept_mptcp):
            self.fallback = True
            return
        self.fallback = leg.bare_data
        if agreed.version > LATEST_VERSION:
            return
        self.responder_key = answer.sender_key if answer else third.receiver_key if third else b""
        if offer and agreed.version == 0:
            self.initiator_key = offer.sender_key
        elif third:
            self.initiator_key = third.sender_key
        elif isinstance(leg.initiator_answer, MpCapable):
            # Both ends opened the leg at once, so there is no third ACK.
            self.initiator_key = leg.initiator_answer.sender_key
        if third:
            keys = (third.sender_key, third.receiver_key)
            self.keys_differ = keys != (self.initiator_key or keys[0], self.responder_key)
        if self.responder_key:
            self.responder_token = token(agreed.version, self.responder_key)
        if self.initiator_key:
            self.initiator_token = token(agreed.version, self.initiator_key)

    @staticmethod
    def _third(leg: Leg, answer: MpCapable | None) -> MpCapable | None:
        """The option that ends the handshake. Of several, the one that repeats the key of the SYN/ACK."""
        found = [option for option in leg.sides[0].thirds if isinstance(option, MpCapable)]
        repeated = [option for option in found if answer and option.receiver_key == answer.sender_key]
        return next(iter(repeated or found), None)

    def check(self, leg: Leg) -> Hmac:
        """Verify the HMACs of a join of this connection."""
        syn, syn_ack = leg.offer, leg.answer
        if not (isinstance(syn, MpJoinSyn) and isinstance(syn_ack, MpJoinSynAck)):
            return Hmac.UNSEEN
        if self.version is None or not (self.initiator_key and self.responder_key):
            return Hmac.UNSEEN
        # In the formulas of RFC 8684, A sent the JOIN SYN, which carries the token of B.
        keys = (self.initiator_key, self.responder_key)
        key_a, key_b = keys if syn.token == self.responder_token else keys[::-1]
        given = (self.version, key_a, key_b, syn.nonce, syn_ack.nonce)
        good = syn_ack.hmac == join_syn_ack_hmac(*given)
        acks = [option for option in leg.sides[0].thirds if isinstance(option, MpJoinAck)]
        if acks:
            good = good and any(ack.hmac == join_ack_hmac(*given) for ack in acks)
        return Hmac.OK if good else Hmac.BAD

    def connection(self) -> Connection:
        """The finished connection."""
        first = self.first
        subflows = tuple(self._subflow(leg) for leg in (first, *self.joins))
        offers = (first.offer, *first.sides[0].thirds)
        return Connection(
            version=self.version,
            initiator_token=self.initiator_token,
            responder_token=self.responder_token,
            fallback=self._fell_back(subflows),
            subflows=subflows,
            begun_before=self.version is None
            and not first.is_join
            and first.spoke_mptcp
            and not first.syn_seen
            and not first.answered,
            initiator_denies_joins=self.version is not None and any(map(_denies_joins, offers)),
            responder_denies_joins=self.version is not None and _denies_joins(first.answer),
            keys_differ=self.keys_differ,
        )

    def _fell_back(self, subflows: tuple[TracedSubflow, ...]) -> bool:
        """Whether the connection fell back. While there is no other subflow, an acknowledgement without MPTCP is a
        fallback too (RFC 8684 3.7)."""
        if self.fallback or self.version is None or self.first.is_join:
            return self.fallback
        alone = not any(subflow.hmac is Hmac.OK for subflow in subflows)
        mapped = any(leg.infinite_mapping for leg in (self.first, *self.joins))
        return mapped or (alone and self.first.stripped)

    def _subflow(self, leg: Leg) -> TracedSubflow:
        syn = leg.offer if isinstance(leg.offer, MpJoinSyn) else None
        closes = [(self._is_key_of_other_end(leg, side, key), lived) for side, key, lived in leg.fastcloses]
        return TracedSubflow(
            src=leg.initiator[0],
            sport=leg.initiator[1],
            dst=leg.responder[0],
            dport=leg.responder[1],
            join=leg.is_join,
            address_id=syn.address_id if syn else 0,
            backup=syn.backup if syn else False,
            hmac=self.check(leg),
            reset=leg.reset,
            fastclose=any(right and not lived for right, lived in closes),
            fastclose_refused=any(not right for right, _ in closes),
        )

    def _is_key_of_other_end(self, leg: Leg, side: int, key: bytes) -> bool:
        """Whether the key of an MP_FASTCLOSE is that of its receiver, as far as keys are known."""
        keys = [
            self.responder_key,
            self.initiator_key,
        ]  # the receiver's key, by the side that sends the option
        syn = leg.offer if isinstance(leg.offer, MpJoinSyn) else None
        if leg is not self.first and syn is not None and syn.token != self.responder_token:
            keys.reverse()  # the responder of the connection opened this subflow
        return keys[side] in (b"", key)


def _denies_joins(option: object) -> bool:
    return isinstance(option, MpCapable) and option.deny_join
