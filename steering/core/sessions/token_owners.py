"""The session that owns a join's token, and whether the policy allows it one more subflow.

A session with the same token does not prove that the join belongs to it. Tokens have 32 bits, and joins of sessions that the
controller does not know may carry any token. Therefore the destination of the join has to fit, too.
"""

from steering.core.network.site_index import SiteMap
from steering.core.selection.rulebook import RuleMatch
from steering.core.sessions.records import Session
from steering.model.network import NetworkAccessType, Trust
from steering.model.policy import Action, Policy
from steering.model.session import Refusal
from steering.wire.handshake import Handshake

# Names for members of enums: core.sessions.records says why.
THIRD_PARTY, PROXY = (
    Trust.THIRD_PARTY,
    Action.PROXY,
)


class JoinDestinations:
    """Checks a join's destination. It has to be the server of the session's initial subflow, or an address of an MCP, which
    the MCP announces by ADD_ADDR (RFC 8684 section 3.4.1). `checks`: False for the negative control without this check."""

    def __init__(self, sitemap: SiteMap, checks: bool = True) -> None:
        self._map = sitemap
        self._checks = checks

    def fitting(self, owners: list[Session], handshake: Handshake) -> list[Session]:
        """The sessions among `owners` to which a join with this destination may belong."""
        if not self._checks or not owners or self._map.is_mcp_address(handshake.dst):
            return owners
        return [session for session in owners if self._fits(session, handshake)]

    def _fits(self, session: Session, handshake: Handshake) -> bool:
        if not session.first:
            return True  # the session was read back without its initial subflow
        flow = session.flow
        if flow.destination_port != handshake.dport:
            return False
        server = flow.destination
        if len(server) == len(handshake.dst):
            return server == handshake.dst
        if self._map.behind_nat64(server):
            return server[12:] == handshake.dst
        return True  # a server's IPv4 and IPv6 addresses are not related (D-6.2c)


def narrow(owners: list[Session], handshake: Handshake) -> list[Session]:
    """The likeliest owner of a join's token, if several sessions have the same token (G4): the only one to the join's server,
    else the only one of its host. All `owners` if neither decides."""
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
    """Why the policy denies one more subflow, None if it does not. A third party's access needs third-party pooling (D-6.4.0),
    and the join's own rule may deny it. core.subflow_priority judges single-subflow mode."""
    _, trust = access
    if trust is THIRD_PARTY and not policy.third_party_pooling:
        return Refusal.THIRD_PARTY
    if answer.rule is not None and answer.terms.action is not PROXY:
        return Refusal.POLICY
    return None
