"""First SYNs that no MCP may take because of their other TCP options (D-6.7.3, D-6.7.4, D-6.7.6).

An MCP terminates a connection and opens another one. This fails in three cases:

* The connection is signed by TCP-MD5 or TCP-AO. `wire.handshake` then reports kind OPAQUE and no MPTCP option.
* The SYN has an option that the MCP does not know. The option would be lost.
* The options leave no room for the MPTCP option.

The SYN then takes its natural path, and without an entry so do the later segments. The last two cases do not concern joins:
a join has to reach its MCP in any case, because only the MCP knows its connection.
"""

from steering.core.inputs import SynSeen
from steering.model.policy import Policy, UnknownOption
from steering.model.session import Refusal
from steering.wire.handshake import Handshake, Kind
from steering.wire.options import CAPABLE_SYN, END, MPTCP, NOP, can_inject

OPAQUE, PASS_BY = Kind.OPAQUE, UnknownOption.BYPASS  # core.sessions.records says why they have names


class Bypass:
    """Finds the first SYNs that no MCP may take. `off`, for the negative control: there are none."""

    def __init__(self, off: bool) -> None:
        self._off = off

    def reason(self, policy: Policy, seen: SynSeen) -> Refusal | None:
        """Why no MCP may take a first SYN, None if an MCP may."""
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
        """The handshake for decisions. In a signed SYN the MPTCP option does not count, unless the bypass is off."""
        if self._off and handshake.kind is Kind.OPAQUE and MPTCP in _kinds(seen):
            return handshake._replace(kind=Kind.CAPABLE, version=1)
        return handshake


def _kinds(seen: SynSeen) -> set[int]:
    """The option kinds of a segment that `read_handshake` has accepted, as far as the frame was not cut."""
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
