"""Numbers that name things, each a type of its own, so that none is taken for another. At run time they are ints."""

from collections.abc import Callable
from typing import NewType, cast

DatapathId = NewType("DatapathId", int)  # 64 bits: a switch, as OpenFlow names it
PortNumber = NewType("PortNumber", int)  # 32 bits: a switch's port, as OpenFlow numbers it (not a TCP port)
WaypointId = NewType("WaypointId", int)  # 16 bits: an attachment port as a destination, what a label carries
McpId = NewType("McpId", int)  # 16 bits: what a cookie carries
Token = NewType("Token", int)  # 32 bits: of an MPTCP connection's key (RFC 8684 section 2.2); -1: not known

NO_PORT = PortNumber(0)  # of a subflow that was read back from switches: OpenFlow numbers ports from 1
NO_WAYPOINT = WaypointId(0)  # of a subflow without an entry of its own: no attachment has this number
NO_MCP = McpId(0)  # of a session that host and server have between them
NO_TOKEN = Token(-1)

# A token as segments carry it (4 bytes, "big") -> Token. The built-in itself: a SYN pays for no further call.
read_token = cast("Callable[[bytes, str], Token]", int.from_bytes)
