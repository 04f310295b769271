"""Numbers that name things, each a type of its own, so that none is taken for another. At run time they are ints."""

from collections.abc import Callable
from typing import NewType, cast

WaypointId = NewType("WaypointId", int)  # 16 bits: an attachment port as a destination, what a label carries
McpId = NewType("McpId", int)  # 16 bits: what a cookie carries
Token = NewType("Token", int)  # 32 bits: of an MPTCP connection's key (RFC 8684 section 2.2); -1: not known

NO_WAYPOINT = WaypointId(0)  # of a subflow without an entry of its own: no attachment has this number
NO_MCP = McpId(0)  # of a session that host and server have between them
NO_TOKEN = Token(-1)

# A token as segments carry it (4 bytes, "big") -> Token. The built-in itself: a SYN pays for no further call.
read_token = cast("Callable[[bytes, str], Token]", int.from_bytes)
