"""What is wanted of one live subflow: the intent that its MCP is told (D-6.3e, N-5.6.1n)."""

from typing import NamedTuple


class SubflowWish(NamedTuple):
    """`backup`: no data while another subflow works (RFC 8684 section 3.3.8). `allowed`: False when it is to be
    closed. `share`: its part of the session's traffic among those that have one, 0 for none (D-6.6k)."""

    backup: bool = False
    allowed: bool = True
    share: int = 0


NO_WISH = SubflowWish()


class Intent(NamedTuple):
    """A wish with all that names its subflow: the MCP's token, and the 5-tuple as the host sends it. Addresses
    are 4 or 16 bytes. `access` is the name of the access network, "" for none, `access_type` its type now."""

    session: int
    token: int
    src: bytes
    sport: int
    dst: bytes
    dport: int
    access: str
    access_type: str
    wish: SubflowWish
