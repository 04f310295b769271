"""Leaves a session to host and server without an MCP if both speak MPTCP: `mcp_presence: withdraw` (N-5.6.1i, N-5.6.1l).

A relay that terminates a connection cannot withdraw from it. Therefore the controller finds out first whether the server
speaks MPTCP. A first SYN takes its natural path, and the server's SYN/ACK decides:

* With MP_CAPABLE, the session is native: it has no MCP and no entries, and its joins take their natural path
  (native_mptcp knows their token). A record shows the session to operators.
* Without MP_CAPABLE, the server is remembered as plain (server_capability). An MCP serves from the next connection on.
"""

from collections import OrderedDict

from steering.core.counters import Counters
from steering.core.handshakes.native_mptcp import OPENING, OPENING_SECONDS, excluded
from steering.core.handshakes.server_capability import Capabilities
from steering.core.outputs import Output
from steering.core.part import Part
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.table import SessionTable
from steering.core.sessions.transitions import Beginning, SessionLife
from steering.model.ids import NO_MCP, NO_WAYPOINT, Token, WaypointId
from steering.model.policy import Action, Mode, Policy, Presence, Terms, Timers
from steering.wire.handshake import Handshake

# Names for members of enums: core.sessions.records says why.
LEFT_TO_ITS_ENDS = Beginning.LEFT_TO_ITS_ENDS
BYPASS, PROXY = Action.BYPASS, Action.PROXY
TAKE_OVER, TRANSPARENT, WITHDRAW = Mode.TAKE_OVER, Mode.TRANSPARENT, Presence.WITHDRAW


def withdraws(policy: Policy, terms: Terms) -> bool:
    """Whether an MCP under these terms withdraws where host and server both speak MPTCP."""
    return policy.mcp_presence is WITHDRAW and terms.action is PROXY and terms.mode is TAKE_OVER


def goes_naturally(
    policy: Policy, capabilities: Capabilities, terms: Terms, handshake: Handshake, key: FlowKey, now: float
) -> bool:
    """Whether a first SYN takes its natural path. The reasons: the action is bypass, the mode is `transparent`, the rule
    serves marked connections only, or the server may speak MPTCP itself and the mode is `hybrid` (D-3.4) or the MCP
    withdraws. If the server is not known, the SYN becomes a trial (server_capability)."""
    if terms.action is BYPASS or terms.mode is TRANSPARENT:
        return True
    if terms.terminate_only and excluded(policy, terms, handshake):
        return True
    if terms.mode is TAKE_OVER and not withdraws(policy, terms):
        return False
    capable = capabilities.known((handshake.dst, handshake.dport), now)
    if capable is None:
        capabilities.try_on(key, now)
    return capable is not False


class Withdrawal(Part):
    """Tracks first SYNs on their natural path until the server answers. The number is bounded: the latest stay."""

    def __init__(self, table: SessionTable, life: SessionLife, timers: Timers, counters: Counters) -> None:
        self._table = table
        self._life = life
        self._counters = counters
        self.timers = timers
        self._tracked: OrderedDict[FlowKey, tuple[float, WaypointId]] = OrderedDict()

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self.timers = policy.timers
        return []

    def left(self, flow: FlowKey, entrance: WaypointId, now: float) -> None:
        """Track a first SYN that came in at waypoint `entrance` and took its natural path."""
        self._tracked[flow] = (now + OPENING_SECONDS, entrance)
        self._tracked.move_to_end(flow)
        if len(self._tracked) > OPENING:
            self._tracked.popitem(last=False)

    def answered(self, flow: FlowKey, token: Token, version: int, now: float) -> None:
        """The server has answered a tracked SYN with MPTCP. `token` is made from the server's key.

        The session gets a record, which counts as no load and has no entries. The record is dropped after `session_linger`
        seconds, and before any other if room is needed.
        """
        deadline, entrance = self._tracked.pop(flow, (0.0, NO_WAYPOINT))
        if deadline <= now or not self._table.has_room:
            return
        session = self._life.begin(LEFT_TO_ITS_ENDS, NO_MCP, None, now, entrance, flow, version)
        session.belongs_to_its_ends(token, now + self.timers.session_linger)
        self._counters.sessions_started += 1
