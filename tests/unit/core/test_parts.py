"""The engine's list of parts: each is asked for what it offers, at its time, and only then."""

import ast

import pytest

from steering.core import inputs
from steering.core.outputs import FillSwitch, Output, SendFrame, SyncRules
from steering.core.part import NEVER, DesiredRules, Handler, Part, Parts
from steering.model.kept import KeptState, KeptUsage, KeptUse, LostPiece
from steering.model.rules import Rule, Table, static_cookie
from tests.architecture import rooms
from tests.support.sites import Driver


class Bell(Part):
    """Rings at its time, and wants a rule everywhere once it has rung."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.ticks: list[float] = []

    def due(self) -> float:
        return self.at

    def tick(self, now: float) -> list[Output]:
        self.ticks.append(now)
        self.at = NEVER
        self.changed = True
        return [SendFrame(1, 1, b"ding"), SendFrame(99, 1, b"dong"), SyncRules(99, (), ())]

    def desired(self, dpid: int) -> DesiredRules:
        rule = Rule(Table.GUARD, 1, (("in_port", 77),), cookie=static_cookie(0))
        return DesiredRules(admission=(rule,)) if self.ticks else DesiredRules()


class Taker(Part):
    def takes(self) -> dict[type[inputs.Input], Handler]:
        return {inputs.TimeOfDay: lambda given, now: []}


class Loser(Part):
    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        return {LostPiece.RECORD: len(kept.usage.used), LostPiece.UNIT: 0}


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    made = Bell(200.0)
    monkeypatch.setattr("steering.core.engine.FEATURES", (lambda of: made,))
    return made


def test_a_part_is_ticked_when_it_is_due_and_not_before(bell: Bell) -> None:
    driver = Driver()
    driver.later(99.0)
    assert bell.ticks == []
    driver.later(1.0)
    driver.later(1.0)
    assert bell.ticks == [200.0]


def test_what_a_part_wants_after_a_tick_reaches_switches_with_that_tick(bell: Bell) -> None:
    driver = Driver()
    outputs = driver.later(100.0)
    synced = [
        o for o in outputs if isinstance(o, SyncRules) and any(("in_port", 77) in r.match for r in o.add)
    ]
    assert sorted(o.dpid for o in synced) == [1, 2, 3, 4, 5]
    driver.give(inputs.SwitchDown(1))
    fill = driver.up(1)
    assert isinstance(fill, FillSwitch) and any(("in_port", 77) in rule.match for rule in fill.admission)


def test_a_switch_that_is_not_filled_is_told_nothing_by_a_tick(bell: Bell) -> None:
    outputs = Driver().later(100.0)
    frames = {o.frame for o in outputs if isinstance(o, SendFrame)}
    assert b"ding" in frames and b"dong" not in frames
    assert all(o.dpid != 99 for o in outputs if isinstance(o, SyncRules))


def test_two_parts_cannot_take_the_same_input() -> None:
    assert list(Parts([Taker()]).takes()) == [inputs.TimeOfDay]
    with pytest.raises(ValueError, match=r"Taker is not alone in taking .*TimeOfDay"):
        Parts([Taker(), Taker()]).takes()


def test_what_parts_lose_of_what_was_kept_is_added_up() -> None:
    kept = KeptState(usage=KeptUsage((KeptUse("anna", "cellular", 1), KeptUse("ben", "cellular", 2)), ()))
    assert Parts([Loser(), Part(), Loser()]).restore(kept, 0.0) == {LostPiece.RECORD: 4}


def ticks_of_another_shape(tree: ast.AST) -> list[int]:
    """Lines of functions named `tick` that are not as Part's: `(self, now: float) -> list[Output]`."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name == "tick"
        if (ast.unparse(node.args), ast.unparse(node.returns or ast.Constant(None)))
        != ("self, now: float", "list[Output]")
    ]


def test_every_tick_of_core_has_the_shape_of_a_parts() -> None:
    found = [
        f"{name}:{line}"
        for name, path in rooms.modules_in(rooms.CORE).items()
        for line in ticks_of_another_shape(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, found


@pytest.mark.parametrize(
    "code",
    [
        "def tick(self, now: float) -> None: ...",
        "def tick(self) -> list[Output]: ...",
        "def tick(self, versions: dict[str, int], now: float) -> list[Output]: ...",
        "def tick(self, now): ...",
    ],
)
def test_a_tick_of_another_shape_is_found(code: str) -> None:
    assert ticks_of_another_shape(ast.parse(code))
    assert not ticks_of_another_shape(ast.parse("def tick(self, now: float) -> list[Output]: ..."))


def test_a_part_that_writes_nothing_wants_nothing() -> None:
    parts = Parts([Part()])
    assert parts.tick(0.0) == [] and parts.recovered(0.0) == [] and parts.takes() == {}
    assert parts.filling(1) == DesiredRules() and parts.take_changed() == []
