"""SYNs that no MCP may take, by what else their option space holds."""

import pytest

from steering.core.inputs import SynSeen
from steering.core.outputs import NATURAL
from steering.model.policy import Action, Direction, Policy, PolicyRule, RuleConditions, Terms, UnknownOption
from steering.model.session import Refusal
from steering.wire.craft import tcp_frame
from steering.wire.handshake import Kind, read_handshake
from steering.wire.options import CAPABLE_SYN, JOIN_SYN, OPTION_SPACE, can_inject
from tests.support.sites import SERVER, TOKEN, UE_LTE, UE_WLAN, Driver, packed, steered

MPC = bytes.fromhex("1e040101")
USUAL = bytes.fromhex("020405b4 0402080a 00000001 00000000 01030307".replace(" ", "")) + MPC
MD5 = b"\x13\x12" + bytes(16)
AO = b"\x1d\x10\x01\x01" + bytes(12)
UNKNOWN = b"\xfd\x04\x53\x54"


def seen(
    options: bytes,
    sport: int = 40000,
    src: str = UE_LTE,
    dst: str = SERVER,
    where: tuple[int, int] = (1, 1),
    **more,
) -> SynSeen:
    options += b"\x01" * (-len(options) % 4)
    frame = tcp_frame(packed(src), packed(dst), sport, 5201, options=options, **more)
    return SynSeen(*where, read_handshake(frame), frame)


def natural(outputs) -> bool:
    return [getattr(o, "waypoint", None) for o in outputs] == [NATURAL]


@pytest.mark.row("D-6.7.4")
@pytest.mark.parametrize(
    ("used", "capable", "join"),
    [(24, True, True), (28, True, True), (32, True, False), (36, True, False), (40, False, False)],
)
def test_room_for_an_mptcp_option(used: int, capable: bool, join: bool):
    assert can_inject(used, CAPABLE_SYN) is capable and can_inject(used, JOIN_SYN) is join
    assert OPTION_SPACE == 40


@pytest.mark.row("D-6.7.6", "D-6.7.3", "D-6.7.4")
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (MD5 + MPC, Refusal.SIGNED),
        (MPC + MD5, Refusal.SIGNED),
        (AO + MPC, Refusal.SIGNED),
        (MPC + AO, Refusal.SIGNED),
        (AO, Refusal.SIGNED),
        (UNKNOWN + USUAL, Refusal.UNKNOWN_OPTION),
        (MPC + b"\x1b\x08" + bytes(6), Refusal.UNKNOWN_OPTION),
        (USUAL + b"\x01" * 16, Refusal.OPTION_SPACE),
        (UNKNOWN + AO + MPC + b"\x01" * 16, Refusal.SIGNED),
    ],
)
def test_the_natural_path_untouched_and_counted_by_its_reason(options: bytes, reason: Refusal):
    made = Driver()
    given = seen(options)
    outputs = made.give(given)
    assert natural(outputs) and outputs[0].frame == given.frame and len(made.table) == 0
    assert natural(made.give(given))  # repeated
    assert made.counters.refusals == {reason: 2} and made.counters.natural_syns == 2


@pytest.mark.row("D-6.7.4")
def test_a_syn_with_room_left_goes_to_an_mcp():
    made = Driver()
    assert steered(made.give(seen(USUAL)))
    assert steered(made.give(seen(USUAL + b"\x01" * 12, 40001)))  # 36 used
    assert steered(made.give(seen(b"\x22\x0a" + bytes(8) + MPC, 40002)))  # Fast Open is well known
    assert made.counters.refusals == {}


def test_policy_may_have_unknown_options_relayed_but_never_signed_segments_or_full_ones():
    made = Driver(policy=Policy(unknown_option=UnknownOption.RELAY))
    assert steered(made.give(seen(UNKNOWN + USUAL)))
    assert natural(made.give(seen(AO + UNKNOWN + MPC, 40001)))
    assert natural(made.give(seen(UNKNOWN + USUAL + b"\x01" * 12, 40002)))


@pytest.mark.row("D-6.7.6")
def test_a_signed_join_is_not_looked_at_and_an_unknown_option_does_not_keep_a_join_from_its_mcp():
    made = Driver()
    made.session()
    join = (
        b"\x1e\x0c\x10\x02" + TOKEN.to_bytes(4, "big")
        if isinstance(TOKEN, int)
        else b"\x1e\x0c\x10\x02" + TOKEN
    )
    join += b"\x01\x02\x03\x04"
    assert natural(made.give(seen(AO + join, 41000, UE_WLAN, where=(2, 1))))
    assert steered(made.give(seen(UNKNOWN + join, 41001, UE_WLAN, where=(2, 1))))


@pytest.mark.row("D-6.7.6")
def test_a_signed_syn_never_takes_over_what_is_pinned():
    made = Driver()
    assert steered(made.give(seen(USUAL, seq=1000)))
    outputs = made.give(seen(AO + MPC, seq=1000))
    assert getattr(outputs[-1], "waypoint", None) == NATURAL
    assert not any(sub.session.subflows for sub in made.table.flows.values())


@pytest.mark.row("D-6.7.4")
def test_an_mptcp_option_is_added_to_no_servers_syn_that_has_no_room():
    rule = PolicyRule("in", RuleConditions(directions=frozenset({Direction.SERVER})), Terms())
    made = Driver(policy=Policy(rules=(rule,)))
    room = b"\x02\x04\x05\xb4" + b"\x01" * 32
    at = (4, 1)
    assert steered(made.give(seen(room, 5000, SERVER, UE_LTE, at)))
    for number, options in enumerate((room + b"\x01" * 4, UNKNOWN + room[:4], MD5)):
        assert natural(made.give(seen(options, 5001 + number, SERVER, UE_LTE, at)))
    assert set(made.counters.refusals) == {Refusal.OPTION_SPACE, Refusal.UNKNOWN_OPTION, Refusal.SIGNED}


def test_what_a_rule_denies_stays_denied_and_an_mcps_own_address_is_no_way_round_its_list():
    denied = Driver(policy=Policy(rules=(PolicyRule("no", RuleConditions(), Terms(action=Action.DENY)),)))
    denied.give(seen(UNKNOWN + USUAL))
    assert denied.counters.refusals == {Refusal.POLICY: 1}


def test_switched_off_a_signed_syn_is_steered_as_any():
    made = Driver(disabled=frozenset({"option-bypass"}))
    given = seen(AO + MPC)
    assert given.handshake.kind is Kind.OPAQUE and steered(made.give(given))
    assert natural(made.give(seen(AO, 40001)))
