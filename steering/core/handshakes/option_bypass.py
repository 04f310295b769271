"""First SYNs that no MCP may take, for what else is in their option space (D-6.7.3, D-6.7.4, D-6.7.6).

An MCP ends a connection and opens another. What is signed by TCP-MD5 or TCP-AO would fail, so these two are looked for
first (`wire.handshake` then shows nothing of MPTCP); an option that it does not know would be lost; and where the
options fill their space, none can be added. Later segments follow: without an entry they take the natural path.
Joins are exempt from the last two: they end at their MCP in any case, which is the only place that knows them.
"""

from steering.core.inputs import SynSeen
from steering.model.policy import Policy, UnknownOption
from steering.model.session import Refusal
from steering.wire.handshake import Handshake, Kind
from steering.wire.options import CAPABLE_SYN, END, MPTCP, NOP, can_inject

OPAQUE, PASS_BY = Kind.OPAQUE, UnknownOption.BYPASS  # names of their own: core.sessions.records


class Bypass:
    """Tells which first SYNs no MCP may take. `off`, for a negative control: none is left alone."""

    def __init__(self, off: bool) -> None:
        self._off = off

    def reason(self, policy: Policy, seen: SynSeen) -> Refusal | None:
        """Why a first SYN is left alone; None if an MCP may take it."""
        handshake = seen.handshake
        if self._off:
            return None
        if handshake.kind is OPAQUE:
            return Refusal.SIGNED
        if not can_inject(handshake.options_length, CAPABLE_SYN):
            return Refusal.OPTION_SPACE
        if handshake.uncommon and policy.unknown_option is PASS_BY:
            return Refusal.UNKNOWN_OPTION
        return None

    def read(self, handshake: Handshake, seen: SynSeen) -> Handshake:
        """The handshake that decisions go by. A signature hides all else in it, unless the bypass is off."""
        if self._off and handshake.kind is Kind.OPAQUE and MPTCP in _kinds(seen):
            return handshake._replace(kind=Kind.CAPABLE, version=1)
        return handshake


def _kinds(seen: SynSeen) -> set[int]:
    """The option kinds of a segment that `read_handshake` has accepted; of a frame that was cut, those that were
    left."""
    frame, end = seen.frame, min(seen.handshake.payload_offset, len(seen.frame))
    at = seen.handshake.payload_offset - seen.handshake.options_length
    found = set()
    while at < end:
        kind = frame[at]
        if kind == END:
            break
        found.add(kind)
        if kind == NOP:
            at += 1
        elif at + 1 < end:
            at += max(2, frame[at + 1])
        else:
            break
    return found
