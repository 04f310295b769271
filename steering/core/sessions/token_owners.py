"""The owner of a join's token, and whether policy lets the owner have one more subflow."""

from steering.core.selection.rulebook import RuleMatch
from steering.core.sessions.records import Session
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import Action, Policy
from steering.model.session import Refusal
from steering.wire.handshake import Handshake

THIRD_PARTY, PROXY = (
    Trust.THIRD_PARTY,
    Action.PROXY,
)  # Members under names of their own: core.sessions.records says why.


def narrow(owners: list[Session], handshake: Handshake) -> list[Session]:
    """The likeliest owners of a join's token where sessions of two MCPs have the same token (G4): sessions towards
    the join's server, else sessions of its host."""
    for part in (_server_of, _host_of):
        wanted = (handshake.dst, handshake.dport) if part is _server_of else (handshake.src,)
        found = [session for session in owners if part(session) == wanted]
        if len(found) == 1:
            return found
    return owners


def _server_of(session: Session) -> tuple[bytes, int]:
    flow = session.flow
    return flow.destination, flow.destination_port


def _host_of(session: Session) -> tuple[bytes]:
    return (session.flow.source,)


def not_allowed(policy: Policy, access: tuple[NetworkAccessType, Trust], answer: RuleMatch) -> Refusal | None:
    """Why policy denies one more subflow now, None if it does not: its own rule may deny it, and a foreign access
    needs third-party pooling (D-6.4.0). Single-subflow mode is judged elsewhere (core.subflow_priority)."""
    _, trust = access
    if trust is THIRD_PARTY and not policy.third_party_pooling:
        return Refusal.THIRD_PARTY
    if answer.rule is not None and answer.terms.action is not PROXY:
        return Refusal.POLICY
    return None
