"""A switch that grants roles as Open vSwitch does, and controllers that ask it for theirs."""

from struct import Struct
from typing import Any

from steering.model.cluster import NO_DUTY, Duty, ShareRole
from steering.openflow.messages.encode import message
from steering.openflow.messages.reader import Disconnect, Message, Type
from steering.openflow.peers.roles import UNDEFINED, OpenFlowRole, Roles

ROLE = Struct(">I4xQ")
OWNER, STANDBY = ShareRole.OWNER, ShareRole.STANDBY
MASTER, SLAVE, EQUAL = OpenFlowRole.MASTER, OpenFlowRole.SLAVE, OpenFlowRole.EQUAL


class RoleSwitch:
    """The switch's side: roles of its connections and its generation (ofproto/connmgr.c of Open vSwitch 3.1)."""

    def __init__(self) -> None:
        self.generation: int | None = None
        self.roles: dict[RoleChannel, OpenFlowRole] = {}

    def request(self, channel: "RoleChannel", data: bytes) -> bytes:
        role, generation = ROLE.unpack_from(data, 8)
        xid = int.from_bytes(data[4:8], "big")
        if role in (MASTER, SLAVE):
            if self.generation is not None and generation < self.generation:
                return message(Type.ERROR, xid, bytes([0, 11, 0, 0]) + data[:64])
            self.generation = generation
        if role == MASTER:
            for other, had in self.roles.items():
                if had is MASTER:
                    self.roles[other] = SLAVE  # and it is told nothing
        if role:
            self.roles[channel] = OpenFlowRole(role)
        told = UNDEFINED if self.generation is None else self.generation
        return message(Type.ROLE_REPLY, xid, ROLE.pack(self.roles.get(channel, EQUAL), told))


class ToldHandshake:
    def __init__(self) -> None:
        self.told: list[bytes] = []

    def changed_later(self, data: bytes) -> Disconnect | None:
        self.told.append(data)
        return None


class FullBucket:
    def take(self, now: float) -> float:
        return 1.0


class RoleChannel:
    """One connection of a controller to the switch; `holds`: requests stay unanswered."""

    def __init__(self, controller: "RoleController", switch: RoleSwitch) -> None:
        self.id, self.heard_at, self.echo_is_due = 1, 0.0, False
        self.handshake, self.unasked = ToldHandshake(), FullBucket()
        self.holds = False
        self.adapter: Any = controller.roles
        self.ended: Disconnect | None = None
        self.written: list[bytes] = []
        self.requests: list[bytes] = []
        self._controller, self._switch = controller, switch

    def write(self, data: bytes) -> None:
        self.written.append(data)
        if data[1] == 24:
            self.requests.append(data)

    def answer(self) -> None:
        while self.requests and not self.holds:
            self._controller.told(self, self._switch.request(self, self.requests.pop(0)))

    def disconnect(self, reason: Disconnect) -> None:
        self.ended = reason
        self._controller.roles.ended(self, reason)  # type: ignore[arg-type]


class RoleController:
    """A controller: its duty, and what its application saw."""

    def __init__(self, switch: RoleSwitch, duty: Duty = NO_DUTY, only: bool = False) -> None:
        self.now = 0.0
        self.given = duty
        self.heir = ""  # who decides where it does not
        self.refusals: list[tuple[int, int]] = []
        self.live: list[RoleChannel] = []
        self.received_by_app: list[int] = []
        self.stepped: list[int] = []
        self.roles = Roles(self, self, self.stepped.append, lambda: self.now, only)  # type: ignore[arg-type]
        self.switch = switch
        self.channel = self.connect()

    def connect(self) -> RoleChannel:
        channel = RoleChannel(self, self.switch)
        self.roles.described(channel)  # type: ignore[arg-type]
        return channel

    def told(self, channel: RoleChannel, data: bytes) -> None:
        found = Message(data[0], data[1], int.from_bytes(data[4:8], "big"), data)
        self.roles.received(channel, found, self.now)  # type: ignore[arg-type]

    def go_on(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.roles.look()
        self.channel.answer()
        self.roles.look()
        self.channel.answer()

    @property
    def role(self) -> OpenFlowRole:
        return self.roles.roles()[1]

    # ---- duties

    def duty(self, dpid: int) -> Duty:
        return self.given

    def owner_of(self, dpid: int) -> str:
        return "me" if self.given.role is OWNER else self.heir

    def refused(self, dpid: int, generation: int, newest: int) -> None:
        self.refusals.append((generation, newest))
        self.given = self.given._replace(role=STANDBY)

    # ---- the application

    def described(self, channel: RoleChannel) -> None:
        self.roles.ready(channel)  # type: ignore[arg-type]

    def ready(self, channel: RoleChannel) -> None:
        self.live.append(channel)

    def lost(self, channel: RoleChannel) -> None:
        self.live.remove(channel)

    def ended(self, channel: RoleChannel, reason: Disconnect) -> None:
        if channel in self.live:
            self.live.remove(channel)

    def received(self, channel: RoleChannel, found: Message, now: float) -> None:
        self.received_by_app.append(found.type)

    usual = "the fast path"
    budgets = "bounds"

    def settle(self, now: float) -> None:
        """Nothing is kept back here."""
