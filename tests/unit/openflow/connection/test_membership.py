"""Who may be which switch: known datapath ids, the certificate that goes with one, and two that give the same."""

from itertools import count
from struct import unpack_from

import pytest

from steering.model.network import Site
from steering.openflow.connection.membership import CLAIM_TIME, Claims, Membership
from steering.openflow.messages.reader import Disconnect

SWITCHES = {"s1": 1, "edge": 2}


def refuses(dpid: int, names: str | None, unknown: bool = False) -> Disconnect | None:
    site = Site(
        (), (), (), switches=SWITCHES, switch_certificates={"edge": "e.example"}, unknown_switches=unknown
    )
    return Membership(lambda: site).refuses(dpid, None if names is None else frozenset(names.split()))


@pytest.mark.parametrize(
    ("dpid", "names", "unknown", "why"),
    [
        (1, None, False, None),
        (3, None, False, Disconnect.UNKNOWN_SWITCH),
        (3, None, True, None),
        (1, "s1", False, None),
        (1, "other s1", False, None),
        (1, "", False, Disconnect.WRONG_CERTIFICATE),
        (1, "edge", False, Disconnect.WRONG_CERTIFICATE),
        (2, "e.example", False, None),
        (2, "edge", False, Disconnect.WRONG_CERTIFICATE),
        (2, "s1", True, Disconnect.WRONG_CERTIFICATE),
        (3, "s3", False, Disconnect.UNKNOWN_SWITCH),
        (3, "s3", True, None),
        (3, "s1", True, Disconnect.WRONG_CERTIFICATE),
    ],
)
def test_a_datapath_id_needs_the_certificate_of_its_switch(
    dpid: int, names: str | None, unknown: bool, why: Disconnect | None
) -> None:
    assert refuses(dpid, names, unknown) == why


class Switch:
    def __init__(self, bench: "Bench", dpid: int = 1) -> None:
        self.id = dpid
        self.names: frozenset[str] | None = None
        self.bench = bench
        self.sent = b""
        self.reason: Disconnect | None = None

    def write(self, data: bytes) -> None:
        self.sent += data

    def disconnect(self, reason: Disconnect) -> None:
        if self.reason is None:
            self.reason = reason
            was_live = self.bench.live.get(self.id) is self
            if was_live:
                del self.bench.live[self.id]
            self.bench.claims.ended(self, was_live)

    def admit(self) -> None:
        self.bench.live[self.id] = self

    @property
    def asked(self) -> int:
        """The xid of the echo request it was sent last."""
        found: int = unpack_from(">I", self.sent, len(self.sent) - 4)[0]
        return found


class Bench:
    def __init__(self) -> None:
        self.live: dict[int, Switch] = {}
        self.claims = Claims(self.live, count(100))
        self.old, self.new = Switch(self), Switch(self)
        self.claims.claim(self.old, 0.0)
        self.claims.claim(self.new, 10.0)


def test_the_live_one_that_answers_stays() -> None:
    bench = Bench()
    assert bench.live[1] is bench.old and bench.new.reason is None
    assert bench.claims.answered(bench.old, bench.old.asked)
    assert (bench.old.reason, bench.new.reason) == (None, Disconnect.DUPLICATE)
    bench.claims.expire(99.0)
    assert bench.live[1] is bench.old


def test_the_live_one_that_does_not_answer_in_time_gives_way() -> None:
    bench = Bench()
    bench.claims.expire(10.0 + CLAIM_TIME - 0.01)
    assert bench.live[1] is bench.old
    bench.claims.expire(10.0 + CLAIM_TIME)
    assert bench.old.reason is Disconnect.REPLACED and bench.live[1] is bench.new


def test_the_live_one_that_ends_meanwhile_gives_way_at_once() -> None:
    bench = Bench()
    bench.old.disconnect(Disconnect.CLOSED)
    assert bench.live[1] is bench.new and bench.new.reason is None


def test_an_answer_to_something_else_proves_nothing() -> None:
    bench = Bench()
    assert not bench.claims.answered(bench.old, bench.old.asked + 1)
    assert not bench.claims.answered(Switch(bench, 2), bench.old.asked)
    assert bench.new.reason is None


def test_one_newcomer_waits_and_others_are_refused_unasked() -> None:
    bench = Bench()
    asked = bench.old.sent
    third = Switch(bench)
    bench.claims.claim(third, 10.1)
    assert third.reason is Disconnect.DUPLICATE and bench.old.sent == asked
    bench.claims.expire(10.0 + CLAIM_TIME)
    assert bench.live[1] is bench.new, "its claim is as it was"


def test_a_newcomer_that_leaves_makes_room_for_the_next() -> None:
    bench = Bench()
    bench.new.disconnect(Disconnect.CLOSED)
    third = Switch(bench)
    bench.claims.claim(third, 11.0)
    bench.claims.expire(10.0 + CLAIM_TIME)
    assert bench.live[1] is bench.old, "the claim that ended is forgotten"
    bench.claims.expire(11.0 + CLAIM_TIME)
    assert bench.live[1] is third


def test_a_claim_to_a_switch_that_another_controller_has_taken_over_comes_to_its_end() -> None:
    bench = Bench()
    del bench.live[1]  # its connection stays, and is a standby's
    bench.claims.expire(10.0 + CLAIM_TIME)
    assert (bench.old.reason, bench.new.reason) == (None, Disconnect.DUPLICATE)
    bench.claims.expire(99.0)
    third = Switch(bench)
    bench.claims.claim(third, 99.0)
    assert bench.live[1] is third, "nothing of it is left"
