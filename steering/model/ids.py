"""Numbers that identify things. Each kind has a type of its own, so that mypy finds a number that is used as another
kind. At run time all are ints."""

from collections.abc import Callable
from typing import NewType, cast

DatapathId = NewType("DatapathId", int)  # 64 bits: a switch, as OpenFlow names it
PortNumber = NewType("PortNumber", int)  # 32 bits: a switch's port, as OpenFlow numbers it (not a TCP port)
WaypointId = NewType("WaypointId", int)  # 16 bits: an attachment port as a destination; labels carry it
McpId = NewType("McpId", int)  # 16 bits; cookies carry it
Token = NewType("Token", int)  # 32 bits, made from an MPTCP key (RFC 8684 section 2.2); -1: not known

NO_PORT = PortNumber(0)  # of a subflow that was read back from switches; OpenFlow numbers ports from 1
NO_WAYPOINT = WaypointId(0)  # the waypoint of a subflow without an entry of its own; no attachment has it
NO_MCP = McpId(0)  # the MCP of a session without an MCP, which goes end to end between host and server
NO_TOKEN = Token(-1)

# read_token(the 4 bytes of a token in a segment, "big"). An alias of the built-in, which saves a call for each SYN.
read_token = cast("Callable[[bytes, str], Token]", int.from_bytes)
