"""Roles at a switch that behaves as Open vSwitch does: it obeys the newest generation, takes an equal one, and tells a
MASTER that was replaced nothing."""

import pytest

from steering.model.cluster import NO_DUTY, Duty, ShareRole
from steering.openflow.messages.encode import message
from steering.openflow.messages.reader import Disconnect, Type
from steering.openflow.peers.roles import ANSWER, AWAY, LATELY, POLL, POLL_SOON, SETTLED, RoleEvent, Roles
from tests.support.role_switch import MASTER, OWNER, ROLE, SLAVE, STANDBY, RoleController, RoleSwitch

PORT_STATUS = bytes([4, 12]) + (80).to_bytes(2, "big") + bytes(4) + bytes([0]) + bytes(7)


@pytest.fixture
def switch() -> RoleSwitch:
    return RoleSwitch()


def test_an_owner_speaks_for_its_switch_only_as_its_master(switch: RoleSwitch) -> None:
    owner = RoleController(switch, Duty(OWNER, 5))
    assert owner.live == []
    owner.go_on()
    assert owner.role is MASTER and owner.live == [owner.channel] and switch.generation == 5


def test_a_standby_never_raises_the_generation(switch: RoleSwitch) -> None:
    """A SLAVE request with its own, newer one would lock the owner out when that connects again."""
    standby = RoleController(switch, Duty(STANDBY, 6))
    standby.go_on()
    assert standby.role is SLAVE and switch.generation == 0 and standby.live == []
    owner = RoleController(switch, Duty(OWNER, 5))
    owner.go_on()
    assert owner.role is MASTER and switch.generation == 5


@pytest.mark.row("D-6.7.1")
def test_a_standby_follows_with_one_request_and_the_old_owner_finds_out(switch: RoleSwitch) -> None:
    owner, standby = RoleController(switch, Duty(OWNER, 5)), RoleController(switch, Duty(STANDBY, 6))
    owner.go_on()
    standby.go_on()
    standby.given = Duty(OWNER, 6)
    requests = len([one for one in standby.channel.written if one[1] == 24])
    standby.go_on()
    assert standby.role is MASTER and len(standby.live) == 1
    assert len([one for one in standby.channel.written if one[1] == 24]) == requests + 1
    # The old one is told nothing, and asks.
    assert owner.role is MASTER
    owner.go_on(POLL)
    assert owner.role is SLAVE and owner.live == [] and owner.stepped == [1] and owner.refusals == [(5, 6)]
    # It does not fight: its own generation would be refused.
    owner.go_on(POLL)
    assert switch.roles[standby.channel] is MASTER and owner.roles.events[RoleEvent.STEPPED_DOWN] == 1


def test_an_owner_that_was_replaced_notices_when_it_writes(switch: RoleSwitch) -> None:
    owner, standby = RoleController(switch, Duty(OWNER, 5)), RoleController(switch, Duty(OWNER, 6))
    owner.go_on()
    standby.go_on()
    owner.told(owner.channel, message(Type.ERROR, 1, bytes([0, 1, 0, 10])))  # IS_SLAVE
    assert owner.live == [] and owner.roles.events[RoleEvent.IS_SLAVE] == 1
    owner.channel.answer()
    assert owner.role is SLAVE and switch.roles[standby.channel] is MASTER


def test_a_stale_generation_is_refused_and_the_newest_told(switch: RoleSwitch) -> None:
    switch.generation = 90
    owner = RoleController(switch, Duty(OWNER, 5))
    owner.go_on()
    owner.go_on()
    assert owner.refusals == [(5, 90)] and owner.roles.events[RoleEvent.STALE] == 1
    assert owner.role is SLAVE and owner.live == [] and switch.generation == 90
    owner.given = Duty(OWNER, 91)
    owner.go_on()
    assert owner.role is MASTER


def test_an_equal_generation_would_demote_the_master_silently(switch: RoleSwitch) -> None:
    """The control: this is why no generation is granted twice."""
    first, second = RoleController(switch, Duty(OWNER, 5)), RoleController(switch, Duty(OWNER, 5))
    first.go_on()
    second.go_on()
    assert first.role is MASTER and second.role is MASTER and switch.roles[first.channel] is SLAVE


def test_who_is_about_to_lose_a_switch_asks_more_often(switch: RoleSwitch) -> None:
    """It serves on until the other one has taken over: no packet-in is lost in between."""
    owner = RoleController(switch, Duty(OWNER, 5))
    owner.go_on()
    owner.given = Duty(STANDBY, 7)
    owner.go_on(POLL)
    assert owner.role is MASTER and owner.live
    heir = RoleController(switch, Duty(OWNER, 6))
    heir.go_on()
    owner.go_on(2 * POLL_SOON)
    assert owner.role is SLAVE and not owner.live


def test_who_is_about_to_lose_a_switch_asks_soon_also_where_it_has_just_asked(switch: RoleSwitch) -> None:
    """Else it would know for two seconds that its switch obeys it, and hand over no session until then."""
    owner = RoleController(switch, Duty(OWNER, 5))
    owner.go_on()
    owner.given = Duty(STANDBY, 7)
    owner.go_on()
    RoleController(switch, Duty(OWNER, 6)).go_on()
    owner.go_on(2 * POLL_SOON)
    assert owner.role is SLAVE and not owner.live and owner.stepped == [1]


@pytest.mark.parametrize(
    ("given", "heir", "reason", "counts"),
    [
        (Duty(STANDBY, 5), "b", Disconnect.CLOSED, True),
        (NO_DUTY, "b", Disconnect.SILENT, True),
        (Duty(OWNER, 5), "", Disconnect.CLOSED, False),
        (
            Duty(STANDBY, 5),
            "",
            Disconnect.CLOSED,
            False,
        ),  # a switch refused its generation: it gets a newer one
        (NO_DUTY, "b", Disconnect.SHUTDOWN, False),
    ],
)
def test_a_connection_that_ends_while_the_switch_is_anothers_counts_as_stepped_down(
    switch: RoleSwitch, given: Duty, heir: str, reason: Disconnect, counts: bool
) -> None:
    """What it knew of that switch is older than what the other one writes there, as if the switch had said so itself."""
    owner = RoleController(switch, Duty(OWNER, 5))
    owner.go_on()
    owner.given, owner.heir = given, heir
    owner.channel.disconnect(reason)
    assert owner.stepped == [1] * counts and owner.roles.events[RoleEvent.STEPPED_DOWN] == counts
    assert owner.live == [] and owner.roles.masters() == set()


def test_a_standby_whose_connection_ends_has_stepped_down_from_nothing(switch: RoleSwitch) -> None:
    standby = RoleController(switch, Duty(STANDBY, 6))
    standby.heir = "b"
    standby.go_on()
    standby.channel.disconnect(Disconnect.CLOSED)
    assert standby.stepped == []


def test_messages_go_to_the_application_only_from_a_switch_that_it_is_master_of(switch: RoleSwitch) -> None:
    one = RoleController(switch, Duty(STANDBY, 5))
    one.go_on()
    one.told(one.channel, message(Type.PACKET_IN, 0, bytes(40)))
    one.told(one.channel, PORT_STATUS + bytes(64))
    one.told(one.channel, message(Type.ECHO_REQUEST, 3, b"x"))
    assert one.received_by_app == [] and len(one.channel.handshake.told) == 1
    assert one.channel.written[-1] == message(Type.ECHO_REPLY, 3, b"x")
    one.given = Duty(OWNER, 5)
    one.go_on()
    one.told(one.channel, message(Type.PACKET_IN, 0, bytes(40)))
    assert one.received_by_app == [Type.PACKET_IN]


def test_the_fast_path_is_for_switches_that_it_is_master_of(switch: RoleSwitch) -> None:
    """Else a standby would decide about packets that a switch shows to all that have no role yet."""
    one = RoleController(switch, Duty(STANDBY, 5))
    one.go_on()
    assert one.channel.adapter.usual is None
    one.given = Duty(OWNER, 5)
    one.go_on()
    assert one.channel.adapter.usual == "the fast path" and one.channel.adapter.budgets
    RoleController(switch, Duty(OWNER, 6)).go_on()
    one.go_on(POLL)
    assert one.channel.adapter.usual is None


def test_a_switch_without_roles_or_answers_is_left(switch: RoleSwitch) -> None:
    silent = RoleController(switch, Duty(OWNER, 5))
    silent.channel.holds = True
    silent.go_on(ANSWER + 1)
    assert silent.channel.ended is Disconnect.NO_ROLES
    without = RoleController(switch, Duty(OWNER, 5))
    xid = int.from_bytes(without.channel.requests[0][4:8], "big")
    without.told(without.channel, message(Type.ERROR, xid, bytes([0, 11, 0, 1])))  # UNSUP
    assert without.channel.ended is Disconnect.NO_ROLES


@pytest.mark.parametrize("size", [8, 16, 23, 25])
def test_a_reply_that_nobody_asked_for_changes_nothing_and_is_bounded(switch: RoleSwitch, size: int) -> None:
    one = RoleController(switch, Duty(STANDBY, 5))
    xid = int.from_bytes(one.channel.requests[0][4:8], "big")
    one.told(one.channel, message(Type.ROLE_REPLY, xid, bytes(size - 8)))
    assert one.live == [] and one.channel.ended is Disconnect.UNASKED


def test_a_switch_cannot_make_a_controller_its_master(switch: RoleSwitch) -> None:
    one = RoleController(switch, Duty(STANDBY, 5))
    xid = int.from_bytes(one.channel.requests.pop(0)[4:8], "big")
    one.told(one.channel, message(Type.ROLE_REPLY, xid, ROLE.pack(MASTER, 1)))
    assert one.live == []


def test_of_two_that_would_stand_by_the_one_that_answers_stays(switch: RoleSwitch) -> None:
    one = RoleController(switch, Duty(STANDBY, 5))
    one.go_on()
    second = one.connect()
    assert second.ended is Disconnect.DUPLICATE
    one.now += LATELY + 1  # the first is not heard of any more
    third = one.connect()
    assert one.channel.ended is Disconnect.REPLACED and third.ended is None


def test_it_is_a_whole_adapter() -> None:
    """Connections know nothing of roles: whatever they ask of an application is there."""
    import os_ken.base.app_manager  # noqa: F401  (os-ken's modules import each other in a circle)

    from steering.openflow.connection.adapter import Adapter

    asked = {name for name in (*vars(Adapter), *Adapter.__annotations__) if not name.startswith("_")}
    assert asked <= set(dir(Roles)), asked - set(dir(Roles))


@pytest.mark.parametrize("role", [OWNER, STANDBY])
def test_a_switch_that_does_not_answer_is_not_reached(switch: RoleSwitch, role: ShareRole) -> None:
    controller = RoleController(switch, Duty(role, 2))
    controller.go_on()
    for _ in range(10):
        controller.go_on(POLL / 2)
        assert controller.roles.reached() == {1}, "it is asked now and then, and answers"
    controller.channel.holds = True
    controller.go_on(POLL)
    assert controller.roles.reached() == {1}, "it may be slow"
    controller.go_on(LATELY)
    assert not controller.roles.reached()
    assert not controller.roles.obeying(), "another controller may have taken it over meanwhile"
    controller.channel.holds = False
    controller.go_on()
    assert controller.roles.reached() == {1}
    assert controller.roles.obeying() == ({1} if role is OWNER else set())
    controller.channel.disconnect(Disconnect.CLOSED)
    assert not controller.roles.reached()


def test_who_is_followed_at_a_switch_that_is_away_has_stepped_down_there(switch: RoleSwitch) -> None:
    """What it knows of sessions is as it was: with it in hand it would delete entries of those that began since."""
    one = RoleController(switch, Duty(OWNER, 5))
    one.go_on()
    one.channel.disconnect(Disconnect.CLOSED)
    one.go_on(AWAY)
    assert one.stepped == [], "it decides there, when the switch is back"
    one.given = Duty(STANDBY, 7)
    one.go_on(AWAY)
    assert one.stepped == [], "nobody is known to decide there"
    one.heir = "b"
    one.go_on(AWAY)
    one.go_on(AWAY)
    assert one.stepped == [1] and one.roles.events[RoleEvent.STEPPED_DOWN] == 1
    one.channel = one.connect()
    one.go_on()
    assert one.role is SLAVE and one.stepped == [1]


def test_it_stands_by_where_the_switch_says_that_it_is_slave() -> None:
    controller = RoleController(RoleSwitch(), Duty(STANDBY, 2))
    assert not controller.roles.stands_by(1), "nobody has said so yet"
    controller.go_on()
    assert controller.role is SLAVE and controller.roles.stands_by(1)
    controller.given = Duty(OWNER, 2)
    controller.go_on(POLL)
    assert controller.role is MASTER and not controller.roles.stands_by(1)
    other = RoleController(controller.switch, Duty(OWNER, 3))
    other.go_on()
    controller.go_on(POLL)
    assert controller.role is SLAVE and controller.roles.stands_by(1)
    controller.channel.disconnect(Disconnect.NO_ROLES)
    assert not controller.roles.stands_by(1)


def test_a_connection_that_is_the_only_way_ends_where_another_one_decides() -> None:
    controller = RoleController(RoleSwitch(), Duty(OWNER, 2), only=True)
    controller.go_on()
    controller.given = Duty(STANDBY, 3)
    controller.go_on(2 * SETTLED)
    assert controller.channel.ended is None, "nobody is known to decide"
    controller.heir = "other"
    controller.go_on(0.1)
    assert controller.channel.ended is Disconnect.ANOTHERS and controller.stepped == [1]
    again = controller.channel = controller.connect()
    controller.go_on(SETTLED / 2)
    assert again.ended is None, "it may be about to learn that it decides"
    controller.go_on(SETTLED)
    assert again.ended is Disconnect.ANOTHERS
