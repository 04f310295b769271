"""What happens to a SYN that is not steered: it takes its natural path, or is refused."""

from steering.core.counters import Counters
from steering.core.handshakes.policy_in_force import PolicyInForce
from steering.core.inputs import SynSeen, WatchedSeen
from steering.core.network.site_index import Attachment
from steering.core.outputs import Output, SendFrame, naturally
from steering.model.policy import RefusalForm
from steering.wire.craft import reset_for
from steering.wire.mptcp import ResetReason


class Replies:
    """Makes the outputs for SYNs that are not steered, for all handlers."""

    def __init__(self, in_force: PolicyInForce, counters: Counters) -> None:
        self._in_force = in_force
        self._counters = counters

    def leave(self, attachment: Attachment, seen: SynSeen) -> list[Output]:
        """Let a SYN that no MCP takes go on its natural path, and count it."""
        self._counters.natural_syns += 1
        return [naturally(attachment, seen)]

    def refuse_plain(self, seen: SynSeen) -> list[Output]:
        """Refuse a SYN without MPTCP, by a reset without options. Nothing is sent if the policy's `refusal` is drop."""
        if self._in_force.policy.refusal is RefusalForm.DROP:
            return []
        return [SendFrame(seen.dpid, seen.port, reset_for(seen.frame))]

    def refuse(
        self, seen: SynSeen | WatchedSeen, reason: ResetReason, transient: bool = False
    ) -> list[Output]:
        """Refuse a SYN by a reset with MP_TCPRST (RFC 8684 section 3.6), so that its host need not wait. Nothing is sent if
        the policy's `refusal` is drop. `transient`: the host may try again later."""
        if self._in_force.policy.refusal is RefusalForm.DROP:
            return []
        return [SendFrame(seen.dpid, seen.port, reset_for(seen.frame, reason, transient))]
