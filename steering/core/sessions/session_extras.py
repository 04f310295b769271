"""Data that only few sessions and subflows have, most of them only while they end. They are kept apart from the records."""

from steering.core.sessions.fin_pair import FinPair
from steering.core.sessions.flow_key import FlowKey
from steering.core.sessions.session_keys import Secrets
from steering.model.ids import NO_TOKEN
from steering.model.preference import NO_WISH, SubflowWish


class SubflowExtras:
    """Further data of a subflow. Made when a subflow gets any of these data."""

    __slots__ = ("fins", "wish")

    def __init__(self) -> None:
        self.fins = FinPair()  # FINs of its ends, and which ends have closed it
        self.wish: SubflowWish = NO_WISH  # the last wish that was sent to its MCP


class SessionExtras:
    """Further data of a session. Made when a session gets any of these data."""

    __slots__ = (
        "deadline",
        "ending",
        "first",
        "host_token",
        "idle_at",
        "leg_fins",
        "secrets",
        "server_closed",
    )

    def __init__(self) -> None:
        self.server_closed = 0  # ends that have closed the server leg
        self.leg_fins: FinPair | None = None  # FINs of the server leg
        self.deadline = 0.0  # time until which a lingering record is kept
        self.idle_at = ""  # access network towards which it counts while it is idle
        self.secrets: Secrets | None = None  # keys, if the policy needs them
        self.host_token = NO_TOKEN  # token of the host's key, which joins of the MCP carry
        self.first: FlowKey | None = None  # key of the initial subflow, if the oldest subflow has another
        self.ending = False  # the session is being aborted: its entries forward nothing
