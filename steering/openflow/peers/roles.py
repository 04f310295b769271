"""Controllers that share switches: MASTER at the owner, SLAVE at standbys, by OpenFlow's roles (1.3.5, 6.3.4).

`Roles` stands between the connections and the application. The application hears of a connection only when its switch
has made this controller its MASTER. At a standby the connection stays up: echo requests are answered and ports are
noted, so that a take-over is one message and its answer.

A switch is asked for its generation first. A SLAVE request raises the switch's generation too, so a standby never names
a newer generation than the switch has. A MASTER request names only a generation that was granted to this controller. A
switch does not tell its old MASTER that another controller replaced it. So each controller asks for its role now and
then; a write of a replaced one is refused with IS_SLAVE.
"""

import logging
from collections import Counter
from collections.abc import Callable
from enum import IntEnum, StrEnum
from itertools import cycle
from struct import Struct
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from steering.model.cluster import Duty, ShareRole
from steering.model.ids import DatapathId
from steering.openflow.budgets import Budgets, UnreadBytes
from steering.openflow.messages.encode import message as encoded
from steering.openflow.messages.reader import Disconnect, Message, Type, read_error

if TYPE_CHECKING:
    from steering.openflow.connection.channel import Channel

LOOK = 0.05  # seconds between checks of all connections
POLL = 2.0  # seconds between questions to a switch whose role is as it should be
POLL_SOON = 0.1  # the same while another controller is about to take the switch over
ANSWER = 10.0  # seconds in which a switch has to answer
AWAY = 1.0  # seconds between checks of switches that are not connected
SETTLED = 1.0  # seconds in which a new connection's controller may learn that it decides for the switch
LATELY = 3.0  # seconds; a live standby connection brings a message more often than that
UNDEFINED = 0xFFFF_FFFF_FFFF_FFFF  # the generation that a switch reports before any controller has set one
_ROLE_REQUEST = 24
_ROLE = Struct(">I4xQ")
_ROLE_LENGTH = 24
_BAD_REQUEST, _IS_SLAVE = 1, 10  # OFPET_BAD_REQUEST, OFPBRC_IS_SLAVE
_ROLE_FAILED, _STALE = 11, 0  # OFPET_ROLE_REQUEST_FAILED, OFPRRFC_STALE
# Messages that a switch may still have under way, or may send to a connection that has no role yet.
_PASSED_OVER = frozenset({Type.PACKET_IN, Type.MULTIPART_REPLY, Type.BARRIER_REPLY})

log = logging.getLogger(__name__)


class OpenFlowRole(IntEnum):
    """ofp_controller_role."""

    NOCHANGE = 0
    EQUAL = 1
    MASTER = 2
    SLAVE = 3


class RoleEvent(StrEnum):
    """What happened between this controller and switches that it shares."""

    TAKEN_OVER = "taken-over"  # this controller is MASTER of the switch now
    STEPPED_DOWN = "stepped-down"  # another controller is MASTER of the switch now
    STALE = "stale"  # the switch refused this controller's generation
    IS_SLAVE = "is-slave"  # this controller wrote as if it were still MASTER, and was refused


class Duties(Protocol):
    """Says what this controller should be to a switch."""

    def duty(self, dpid: DatapathId) -> Duty: ...

    def owner_of(self, dpid: DatapathId) -> str:
        """The controller that decides for a switch; "" where none is known."""
        ...

    def refused(self, dpid: DatapathId, generation: int, newest: int) -> None:
        """The switch refused `generation`, because it knows a newer one. `newest`: that generation, 0 where the switch
        did not tell."""


class _Standing:
    """The role of one connection at its switch. `told`: the switch's generation; None: the switch is to be asked."""

    __slots__ = ("asked", "deadline", "generation", "next_look", "refused", "role", "since", "told", "wants")

    def __init__(self, since: float) -> None:
        self.since = since
        self.role = OpenFlowRole.EQUAL
        self.told: int | None = None
        self.asked = 0  # the transaction id of the request that is under way
        self.wants = OpenFlowRole.NOCHANGE
        self.generation = 0  # the generation in that request, and later the generation of the role
        self.deadline = 0.0
        self.next_look = 0.0
        self.refused = (
            0  # the generation that the switch refused; 0 once the switch has told the one it knows
        )


class Roles:
    """An Adapter (openflow.connection.adapter) in front of the application `app`, which is an Adapter too. `app` is
    called with `ready` and `lost` when this controller becomes and ceases to be MASTER. `stepped_down` is called when
    another controller has taken a switch over."""

    def __init__(
        self,
        app: Any,
        duties: Duties,
        stepped_down: Callable[[DatapathId], None] = lambda dpid: None,
        now: Callable[[], float] = monotonic,
        is_only_way: bool = False,
    ) -> None:
        """`is_only_way`: each switch has one connection, to the controller that decides for it. Where another one does, the
        connection is ended, so that the switch connects to that one."""
        self._app = app
        self._duties = duties
        self._xids = cycle(range(0x7000_0000, 0x7F00_0000))  # the sender and os-ken use other ids
        self._stepped_down = stepped_down
        self._now = now
        self._is_only_way = is_only_way
        self._standings: dict[Channel, _Standing] = {}
        self._masters: set[Channel] = set()
        self._slaves: set[DatapathId] = set()
        # Switches for which this controller decided last. Some may be away now, and may obey another controller when they are back.
        self._decided: set[DatapathId] = set()
        self._away_at = 0.0
        self.events: Counter[RoleEvent] = Counter()
        # The adapter of a connection: `_slow` without the fast path, for connections that are not MASTER.
        self._slow: Any = self
        self._fast: Any = _BeforeMasters(self, app)

    def roles(self) -> dict[DatapathId, OpenFlowRole]:
        """What this controller is to each switch that is connected to it."""
        return {channel.id: standing.role for channel, standing in self._standings.items()}

    def masters(self) -> set[DatapathId]:
        """The switches that this controller is MASTER of."""
        return {channel.id for channel in self._masters}

    def obeying(self) -> set[DatapathId]:
        """The switches that this controller is MASTER of, and that answer. A switch that does not answer may obey another controller by
        now."""
        return self.masters() & self.reached()

    def reached(self) -> set[DatapathId]:
        """Switches that are connected, and answer when they are asked for this controller's role."""
        lately = self._now() + ANSWER - LATELY
        return {
            one.id
            for one, standing in self._standings.items()
            if not standing.asked or standing.deadline > lately
        }

    def stands_by(self, dpid: DatapathId) -> bool:
        """Whether a switch is connected and has confirmed that this controller is SLAVE there."""
        return dpid in self._slaves

    # ---- channel.Adapter -------------------------------------------------------------------------

    usual: Any = None  # the fast path is for messages of switches that this controller is MASTER of

    @property
    def budgets(self) -> Budgets:
        return self._app.budgets  # type: ignore[no-any-return]

    @property
    def unread(self) -> UnreadBytes:
        return self._app.unread  # type: ignore[no-any-return]

    @property
    def foyer(self) -> Any:
        return self._app.foyer

    def admits(self, address: tuple[Any, ...]) -> bool:
        return bool(self._app.admits(address))

    def opened(self, channel: "Channel") -> None:
        self._app.opened(channel)

    def identified(self, channel: "Channel") -> Disconnect | None:
        found: Disconnect | None = self._app.identified(channel)
        return found

    def described(self, channel: "Channel") -> None:
        """The application settles claims to the datapath id of a MASTER connection. Of two standby connections with one
        id, the older one stays if a message came over it within LATELY."""
        older = next((one for one in self._standings if one.id == channel.id), None)
        if older is None or older in self._masters:
            self._app.described(channel)
        elif self._now() - older.heard_at > LATELY:
            older.disconnect(Disconnect.REPLACED)
            self._app.described(channel)
        else:
            channel.disconnect(Disconnect.DUPLICATE)

    def ready(self, channel: "Channel") -> None:
        """The connection may speak for its switch. The switch is asked for the connection's role before the application
        hears of it."""
        now = self._now()
        self._standings[channel] = _Standing(now)
        self._look(channel, self._standings[channel], now)

    def ended(self, channel: "Channel", reason: Disconnect) -> None:
        if self._standings.pop(channel, None) is not None:
            self._slaves.discard(channel.id)
        was_master = channel in self._masters
        self._masters.discard(channel)
        self._app.ended(channel, reason)
        if was_master and reason is not Disconnect.SHUTDOWN and self._is_anothers(channel.id):
            # The switch cannot be asked any more; it would have reported the new MASTER.
            self._count_step_down(channel.id)

    def settle(self, now: float) -> None:
        self._app.settle(now)

    def settle_soon(self, now: float) -> None:
        self._app.settle_soon(now)

    def touched(self, channel: "Channel") -> None:
        self._app.touched(channel)

    def received(self, channel: "Channel", message: Message, now: float) -> None:
        kind = message.type
        if kind == Type.ROLE_REPLY:
            self._reply(channel, message, now)
        elif kind == Type.ERROR:
            if not self._error(channel, message, now):
                self._app.received(channel, message, now)
        elif channel in self._masters:
            self._app.received(channel, message, now)
        elif kind == Type.ECHO_REQUEST:
            channel.write(encoded(Type.ECHO_REPLY, message.xid, message.data[8:]))
        elif kind == Type.PORT_STATUS:
            refused = channel.handshake.changed_later(message.data)
            if refused is not None:
                channel.disconnect(refused)
        elif kind == Type.ECHO_REPLY and channel.echo_is_due:
            channel.echo_is_due = False
        elif kind not in _PASSED_OVER:
            self._unasked(channel, now)

    # ---- what is asked ---------------------------------------------------------------------------

    def run(self, is_active: Callable[[], bool], sleep: Callable[[float], None]) -> None:
        """Look at all connections until the application ends; runs in a greenthread of its own."""
        while is_active():
            sleep(LOOK)
            try:
                self.look()
            except Exception:
                log.exception("roles could not be looked at")

    def look(self) -> None:
        """Ask for the roles that differ from this controller's duties. Called also when duties change."""
        now = self._now()
        for channel, standing in list(self._standings.items()):
            self._look(channel, standing, now)
        if now >= self._away_at:
            self._away_at = now + AWAY
            for dpid in sorted(self._decided - self.masters()):
                # The switch is away, so no answer of it will tell this controller.
                if self._is_anothers(dpid):
                    self._count_step_down(dpid)
        self._app.settle(now)

    def _look(self, channel: "Channel", standing: _Standing, now: float) -> None:
        if standing.asked:
            if now > standing.deadline:
                channel.disconnect(Disconnect.NO_ROLES)
            return
        duty = self._duties.duty(channel.id)
        is_owner = duty.role is ShareRole.OWNER
        if self._is_only_way and now > standing.since + SETTLED and self._is_anothers(channel.id):
            channel.disconnect(Disconnect.ANOTHERS)
            return
        leaving = standing.role is OpenFlowRole.MASTER and not is_owner
        if leaving:  # the last question may be from just before the duty changed
            standing.next_look = min(standing.next_look, now + POLL_SOON)
        if standing.told is None:
            self._ask(channel, standing, OpenFlowRole.NOCHANGE, 0, now)
        elif is_owner and standing.role is not OpenFlowRole.MASTER:
            self._ask(channel, standing, OpenFlowRole.MASTER, duty.generation, now)
        elif standing.role is OpenFlowRole.EQUAL:
            self._ask(channel, standing, OpenFlowRole.SLAVE, standing.told, now)
        elif now >= standing.next_look:
            standing.next_look = now + (POLL_SOON if leaving else POLL)
            self._ask(channel, standing, OpenFlowRole.NOCHANGE, 0, now)

    def _ask(
        self, channel: "Channel", standing: _Standing, role: OpenFlowRole, generation: int, now: float
    ) -> None:
        standing.asked = next(self._xids)
        standing.wants = role
        if role is OpenFlowRole.MASTER:
            standing.generation = generation
        standing.deadline = now + ANSWER
        channel.write(encoded(_ROLE_REQUEST, standing.asked, _ROLE.pack(role, generation)))

    # ---- what is answered ------------------------------------------------------------------------

    def _reply(self, channel: "Channel", message: Message, now: float) -> None:
        standing = self._standings.get(channel)
        if standing is None or message.xid != standing.asked or len(message.data) != _ROLE_LENGTH:
            self._unasked(channel, now)
            return
        standing.asked = 0
        told, generation = _ROLE.unpack_from(message.data, 8)
        standing.told = 0 if generation == UNDEFINED else generation
        if standing.refused:
            refused, standing.refused = standing.refused, 0
            self._duties.refused(channel.id, refused, standing.told)
        if told == OpenFlowRole.MASTER:
            # Only where this controller asked to be MASTER: a switch cannot choose its MASTER.
            if standing.wants is OpenFlowRole.MASTER:
                self._become_master(channel, standing, now)
        elif told in (OpenFlowRole.EQUAL, OpenFlowRole.SLAVE):
            standing.role = OpenFlowRole(told)
            if standing.role is OpenFlowRole.SLAVE:
                self._slaves.add(channel.id)
            if channel in self._masters:
                self._step_down(channel, standing)
        self._look(channel, standing, now)

    def _become_master(self, channel: "Channel", standing: _Standing, now: float) -> None:
        standing.role = OpenFlowRole.MASTER
        self._slaves.discard(channel.id)
        standing.next_look = now + POLL
        if channel not in self._masters:
            self._masters.add(channel)
            self._decided.add(channel.id)
            channel.adapter = self._fast
            self.events[RoleEvent.TAKEN_OVER] += 1
            self._app.ready(channel)

    def _step_down(self, channel: "Channel", standing: _Standing) -> None:
        """Another controller is MASTER of the switch: tell the application and count the event."""
        self._masters.discard(channel)
        channel.adapter = self._slow
        self._app.lost(channel)
        self._duties.refused(channel.id, standing.generation, standing.told or 0)
        self._count_step_down(channel.id)

    def _count_step_down(self, dpid: DatapathId) -> None:
        self._decided.discard(dpid)
        self.events[RoleEvent.STEPPED_DOWN] += 1
        log.warning("switch %016x: another controller decides there now", dpid)
        self._stepped_down(dpid)

    def _is_anothers(self, dpid: DatapathId) -> bool:
        """Whether another controller is known to decide for the switch. A controller whose generation was refused may
        not know the new owner yet."""
        return self._duties.duty(dpid).role is not ShareRole.OWNER and bool(self._duties.owner_of(dpid))

    def _error(self, channel: "Channel", message: Message, now: float) -> bool:
        """Take an error message. Returns whether it is about roles, and so is not for the application."""
        standing = self._standings.get(channel)
        kind, code = read_error(message.data)
        if standing is None:
            return False
        if kind == _ROLE_FAILED and message.xid == standing.asked:
            standing.asked = 0
            if code != _STALE:
                channel.disconnect(Disconnect.NO_ROLES)
                return True
            self.events[RoleEvent.STALE] += 1
            if standing.wants is OpenFlowRole.MASTER:
                standing.refused = standing.generation
            standing.told = None  # the switch is asked again for its generation
            self._look(channel, standing, now)
            return True
        if kind == _BAD_REQUEST and code == _IS_SLAVE:
            self.events[RoleEvent.IS_SLAVE] += 1
            if channel in self._masters:
                standing.role, standing.told, standing.asked = OpenFlowRole.SLAVE, None, 0
                self._step_down(channel, standing)
                self._look(channel, standing, now)
            return True
        return channel not in self._masters  # a standby sends nothing else that a switch could refuse

    def _unasked(self, channel: "Channel", now: float) -> None:
        if channel.unasked.take(now):
            channel.disconnect(Disconnect.UNASKED)


class _BeforeMasters:
    """The adapter `Roles` with the application's fast path, for connections of which this controller is MASTER."""

    def __init__(self, roles: Roles, app: Any) -> None:
        self._roles = roles
        self._app = app

    @property
    def usual(self) -> Any:
        return self._app.usual

    def __getattr__(self, name: str) -> Any:
        return getattr(self._roles, name)
