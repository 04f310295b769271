"""What the policy wants of one live subflow: the intent that is sent to its MCP (D-6.3e, N-5.6.1n)."""

from typing import NamedTuple


class SubflowWish(NamedTuple):
    """`backup`: the subflow shall carry no data while another works (RFC 8684 section 3.3.8). `allowed`: False when
    it shall be closed. `share`: its share of the session's traffic, 0 for none (D-6.6k)."""

    backup: bool = False
    allowed: bool = True
    share: int = 0


NO_WISH = SubflowWish()


class Intent(NamedTuple):
    """A wish, and the subflow that it is about: the MCP's token, and the 5-tuple as the host sends it. Addresses have
    4 or 16 bytes. `access`: name of the access network, "" for none. `access_type`: its current type."""

    session: int
    token: int
    src: bytes
    sport: int
    dst: bytes
    dport: int
    access: str
    access_type: str
    wish: SubflowWish
