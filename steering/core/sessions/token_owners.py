"""The owner of a join's token, and whether policy lets the owner have one more subflow.

One session with the token is no proof that a join is of that session: tokens have 32 bits, and joins of sessions that the
controller does not know carry any of them. So the destination has to fit too.
"""

from steering.core.network.site_index import SiteMap
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


class JoinDestinations:
    """Whether a join goes where its session's joins go: to the server of the initial subflow, or to an address of an MCP,
    which its MCP tells by ADD_ADDR (RFC 8684 section 3.4.1). `checks`: False believes every token (a negative control)."""

    def __init__(self, sitemap: SiteMap, checks: bool = True) -> None:
        self._map = sitemap
        self._checks = checks

    def fitting(self, owners: list[Session], handshake: Handshake) -> list[Session]:
        """The sessions among `owners` that a join may be of."""
        if not self._checks or not owners or self._map.is_mcp_address(handshake.dst):
            return owners
        return [session for session in owners if self._fits(session, handshake)]

    def _fits(self, session: Session, handshake: Handshake) -> bool:
        if not session.first:
            return True  # read back without its initial subflow
        flow = session.flow
        if flow.destination_port != handshake.dport:
            return False
        server = flow.destination
        if len(server) == len(handshake.dst):
            return server == handshake.dst
        if self._map.behind_nat64(server):
            return server[12:] == handshake.dst
        return True  # a server's addresses of both families need not be alike (D-6.2c)


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
