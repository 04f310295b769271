"""What the policy wants of one live subflow: the intent that is sent to its MCP (D-6.3e, N-5.6.1n)."""

from typing import NamedTuple


class SubflowWish(NamedTuple):
    """What the policy wants of a subflow. `backup`: the subflow shall carry no data while another one works (RFC 8684
    section 3.3.8). `allowed`: if False, the subflow shall be closed. `share`: the subflow's share of the session's
    traffic, 0 where no shares are wanted (D-6.6k)."""

    backup: bool = False
    allowed: bool = True
    share: int = 0


NO_WISH = SubflowWish()


class Intent(NamedTuple):
    """A wish, and the subflow that it is about. The subflow is named by the session's token and by the 5-tuple as the host
    sends it. Addresses have 4 or 16 bytes. `access`: name of the access network, "" for none. `access_type`: the access
    network's current type."""

    session: int
    token: int
    src: bytes
    sport: int
    dst: bytes
    dport: int
    access: str
    access_type: str
    wish: SubflowWish
