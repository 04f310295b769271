"""The policy file read again, by SIGHUP or because it changed: the same words as `steering check`, or nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import eventlet
import pytest
from eventlet.event import Event

from steering.core.inputs import PolicyReplaced, TimeOfDay
from steering.core.snapshots.view import EngineView
from steering.model.control import Condition, PolicyConsensus, PolicyDisagreement, PolicyWish
from steering.model.standing_work import StandingWork
from steering.policy import load_policy, load_site, parse_policy
from steering.runtime.orders import operator as operator_module
from steering.runtime.orders.declared_site import DeclaredSite
from steering.runtime.orders.operator import FileWatch, Operator, _read
from steering.runtime.orders.registrar import Registrar
from steering.store.memory import MemoryStore
from tests.support.controller_process import LINKS, SITE
from tests.support.sites import Driver


def test_findings_are_those_of_the_check_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE + LINKS)
    site, _ = load_site(str(tmp_path / "site.yaml"))
    assert site is not None
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\nrulez: []\nclases: []\n")
    policy, _, findings = _read(str(path), site)
    assert policy is None
    assert [str(f) for f in findings] == [str(f) for f in load_policy(str(path), site)[1]]
    assert str(findings[0]) == f"{path}:2: unknown key 'rulez' (did you mean 'rules'?)"
    path.write_bytes(b"\xef\xbb\xbfpolicy: 1\n")  # what a start takes, a SIGHUP takes
    assert _read(str(path), site)[0] is not None
    policy, _, findings = _read(str(tmp_path / "none.yaml"), site)
    assert policy is None and "cannot be read" in str(findings[0])


def test_a_file_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n")
    watch = FileWatch(str(path), by_time=True)
    assert not watch.changed()
    seen = []
    for size in range(1, 4):
        path.write_text("policy: 1\n" + "#\n" * size)
        seen.append(watch.changed())
    seen += [watch.changed(), watch.changed()]
    assert seen == [False, False, False, True, False]


def test_a_signal_needs_no_change(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n")
    watch = FileWatch(str(path), by_time=False)
    watch.ask()
    assert [watch.changed(), watch.changed()] == [True, False]


def given_in(folder: Path, agreed: PolicyConsensus | None = None) -> tuple[Operator, list[Any]]:
    """An operator, and what it gives the engine. `agreed`: how others agree to a policy."""
    driver = Driver()
    view = EngineView(driver.engine, lambda: driver.now, "0")
    declared = DeclaredSite({"mcps": []}, driver.site, [], MemoryStore())
    registrar = Registrar(declared, driver.engine, None, lambda work, *given: work(*given))
    operator = Operator(
        driver.engine, driver.counters, registrar, view, folder, lambda: driver.now, agreed=agreed
    )
    given: list[Any] = []
    operator.connect(given.append, given.append)
    return operator, given


@pytest.fixture
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are close together, on the hub that the controller runs on; os-ken's own is of threads, unless told."""
    monkeypatch.setattr(operator_module, "LOOK", 0.01)
    monkeypatch.setattr(operator_module, "hub", eventlet)


def until(is_so: Callable[[], bool]) -> None:
    with eventlet.Timeout(30):
        while not is_so():
            eventlet.sleep(0.01)


@pytest.mark.row("D-3.2c")
def test_no_minute_waits_that_a_new_offset_of_the_clock_has_made_wrong(tmp_path: Path) -> None:
    operator, at_once = given_in(tmp_path)
    waiting: list[Any] = []
    operator.connect(waiting.append, at_once.append)
    operator.tell_time()
    operator.set_clock_offset(86_400)
    assert waiting == []
    before, after = (given.minute for given in at_once)
    assert (after - before) % 10_080 in (1_440, 1_441)  # a minute may have begun between the two


@pytest.fixture
def watched() -> Iterator[list[Any]]:
    threads: list[Any] = []
    yield threads
    for thread in threads:
        thread.kill()


@pytest.mark.usefixtures("_often")
def test_the_clock_of_rules_goes_on_while_a_file_is_checked_and_no_two_are_at_once(
    tmp_path: Path, watched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, given = given_in(tmp_path)
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n")
    at_work, let = [0, 0], Event()

    def checked(text: str, filename: str, site: Any) -> Any:
        at_work[0] += 1
        at_work[1] = max(at_work)
        let.wait()
        at_work[0] -= 1
        return parse_policy(text, filename)

    monkeypatch.setattr(operator_module, "checked", checked)
    watched.append(eventlet.spawn(operator.watch, str(path), lambda: True))
    until(lambda: at_work[0] == 1)
    before = len(given)
    until(lambda: len(given) >= before + 5)
    assert {type(one) for one in given} == {TimeOfDay}
    let.send()
    until(lambda: sum(isinstance(one, PolicyReplaced) for one in given) > 1)
    assert at_work[1] == 1


def test_what_is_asked_behind_the_check_is_asked_before_anything_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, given = given_in(tmp_path)
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n# of the file\n")
    seen = operator.policy()

    def checked(text: str, filename: str, site: Any) -> Any:
        if text == "policy: 1\n":
            operator.reload(str(path))
        return parse_policy(text, filename)

    def unchanged() -> None:
        if operator.policy() != seen:
            raise LookupError

    monkeypatch.setattr(operator_module, "checked", checked)
    with pytest.raises(LookupError):
        operator.replace_policy("policy: 1\n", "me", False, unchanged)
    assert operator.policy().text == path.read_text() and len(given) == 1
    assert operator.replace_policy("policy: 1\n# mine\n", "me", False).accepted
    with pytest.raises(LookupError):
        operator.rollback_policy(1, "me", unchanged)
    assert operator.policy().text == "policy: 1\n# mine\n"


class Agreement:
    """Other controllers of the cell, and what they say to a policy, once each."""

    def __init__(self, *refusals: dict[str, str]) -> None:
        self.refusals = list(refusals)
        self.asked = 0

    def put(self, wish: PolicyWish, unchanged: Condition) -> int:
        self.asked += 1
        if self.refusals:
            raise PolicyDisagreement("nowhere", self.refusals.pop(0))
        return 2


@pytest.mark.usefixtures("_often")
@pytest.mark.parametrize(
    ("refusals", "asked"), [([{}, {}], 3), ([{}, {"b": "no MCP 'far'"}], 2)], ids=["late", "refused"]
)
def test_a_file_that_others_were_late_for_is_tried_again(
    tmp_path: Path, watched: list[Any], refusals: list[dict[str, str]], asked: int
) -> None:
    agreement = Agreement(*refusals)
    operator, _ = given_in(tmp_path, agreement)
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n")
    changes, looks = iter([True]), [0]

    def changed() -> bool:
        looks[0] += 1
        return next(changes, False)

    watched.append(eventlet.spawn(operator.watch, str(path), changed))
    until(lambda: agreement.asked == asked)
    seen = looks[0]
    until(lambda: looks[0] > seen + 20)
    assert agreement.asked == asked


@pytest.mark.usefixtures("_often")
def test_an_error_that_nobody_foresaw_ends_no_watch(
    tmp_path: Path, watched: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    operator, given = given_in(tmp_path)
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n")
    errors: Iterator[Exception] = iter([ZeroDivisionError("what is this")])

    def checked(text: str, filename: str, site: Any) -> Any:
        for error in errors:
            raise error
        return parse_policy(text, filename)

    monkeypatch.setattr(operator_module, "checked", checked)
    watched.append(eventlet.spawn(operator.watch, str(path), lambda: True))
    until(lambda: any(isinstance(one, PolicyReplaced) for one in given))
    assert operator._counters.work_faults.types == {StandingWork.POLICY_FILE: "ZeroDivisionError"}


@pytest.mark.usefixtures("_often")
def test_a_watch_that_ends_reads_no_file_any_more(tmp_path: Path) -> None:
    operator, _ = given_in(tmp_path)
    looks: list[None] = []

    def changed() -> bool:
        looks.append(None)
        return False

    watch = eventlet.spawn(operator.watch, "policy.yaml", changed)
    until(lambda: len(looks) > 2)
    watch.kill()
    before = len(looks)
    eventlet.sleep(0.05)
    assert len(looks) == before
