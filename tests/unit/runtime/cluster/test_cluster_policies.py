"""Controllers of one cell and their policy: what each starts with, and one that is written at any of them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from steering.cluster.coordination import Coordination
from steering.core.snapshots.view import EngineView
from steering.model.cluster import ClusterMember, PolicyEvent
from steering.model.control import PolicyDisagreement, PolicyText
from steering.model.policy import Policy
from steering.runtime.cluster import cluster_policies as module
from steering.runtime.cluster.cluster_policies import ClusterPolicies, outdates
from steering.runtime.orders.declared_site import DeclaredSite
from steering.runtime.orders.operator import Operator
from steering.runtime.orders.registrar import Registrar
from steering.runtime.settings import SettingsError
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import KeyChange
from steering.store.memory import MemoryStore
from steering.store.policy_history import History
from tests.support.fakes.etcd import FakeEtcd
from tests.support.sites import Driver

TEXT = "policy: 1\n# another one\n"


class Member:
    """One controller as far as policies go: an engine, an operator, and its part of the agreement. It has looked at what is in force;
    the rest of its start is `begin`. `listens`: its watch has begun."""

    def __init__(self, etcd: FakeEtcd, folder: Path, name: str, own: str) -> None:
        self._folder = folder / name
        self._folder.mkdir()
        self.listens = True
        self.driver = Driver()
        kept = Keys(etcd.gateway(), "/steering/cell/kept/")
        cluster = Keys(etcd.gateway(), "/steering/cell/cluster/")
        self.store = EtcdStore(kept)
        self._coordination = Coordination(cluster, ClusterMember(name, f"{name}:1"), "site")
        self.policies = ClusterPolicies(kept, self.store, cluster, self._coordination, 20.0)
        begun = self.policies.at_start(self.driver.site)
        self._own = own if begun is None else begun[1]

    def begin(self) -> None:
        driver = self.driver
        _, text = self.policies.begin_with(driver.site, Policy(), self._own)
        view = EngineView(driver.engine, lambda: driver.now, "0")
        declared = DeclaredSite({"mcps": []}, driver.site, [], MemoryStore())
        registrar = Registrar(declared, driver.engine, None, lambda work, *given: work(*given))
        self.operator = Operator(
            driver.engine, driver.counters, registrar, view, self._folder, lambda: driver.now,
            PolicyText(self.policies.version, text), self.store, self.policies,
        )  # fmt: skip
        self.operator.connect(self.handle, self.handle)
        self.policies.follow_with(self.operator)
        self._coordination.join()

    def handle(self, given: Any) -> None:
        self.driver.engine.handle(given, self.driver.now)

    def hear(self) -> None:
        """What its watch would tell by now."""
        if self.listens:
            self.policies.hear(self.policies._watch._list())


Start = Callable[..., Member]


@pytest.fixture
def etcd() -> FakeEtcd:
    return FakeEtcd()


@pytest.fixture
def start(etcd: FakeEtcd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts members, each of which hears what happened whenever one waits."""
    members = list[Member]()

    def sleep(_: float) -> None:
        for one in members:
            one.hear()

    monkeypatch.setattr(module, "hub", SimpleNamespace(sleep=sleep))

    def starts(name: str, own: str = "policy: 1\n", listens: bool = True) -> Member:
        member = Member(etcd, tmp_path, name, own)
        member.begin()
        member.listens = listens
        member.hear()
        members.append(member)
        return member

    return starts


def test_the_first_starts_with_its_own_file_and_others_with_what_is_in_force(start: Start) -> None:
    first = start("a", "policy: 1\n# of a's file\n")
    second = start("b", "policy: 1\n# of b's file\n")
    assert first.operator.policy() == second.operator.policy() == PolicyText(1, "policy: 1\n# of a's file\n")
    assert first.operator.replace_policy(TEXT, "ann", False).version == 2
    assert start("c").operator.policy() == PolicyText(2, TEXT)
    assert [one["comment"] for one in first.operator.policy_versions()] == ["started with", ""]


@pytest.mark.parametrize("transaction", [0, 1])
def test_of_two_that_start_a_cell_at_once_one_is_first_and_the_other_starts_with_its_policy(
    etcd: FakeEtcd, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, transaction: int
) -> None:
    """Neither saw a policy in force. The second begins between any two steps of the first."""
    first, second = (
        Member(etcd, tmp_path, name, f"policy: 1\n# of {name}'s file\n") for name in ("first", "second")
    )
    etcd.meanwhile = [*[lambda: None] * transaction, second.begin]
    first.begin()
    if etcd.meanwhile:
        etcd.meanwhile = []
        second.begin()
    third = start("third", "policy: 1\n# of another file\n")
    for one in (first, second):
        assert one.operator.policy() == third.operator.policy() and one.operator.policy().version == 1
        one.hear()
        assert one.policies.events() == {}, "it began with it, and has nothing to change"
    assert History(third.store).numbers() == [1]
    assert "has begun this cell with another policy" in caplog.text


def test_of_two_that_start_a_cell_at_once_with_the_same_policy_nobody_is_told(
    etcd: FakeEtcd, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (Member(etcd, tmp_path, name, TEXT) for name in ("first", "second"))
    for one in (first, second):
        one.begin()
        assert one.operator.policy() == PolicyText(1, TEXT)
    assert "another policy" not in caplog.text


def test_a_cell_of_before_there_was_a_word_for_what_is_in_force_goes_on_with_its_newest(
    etcd: FakeEtcd, start: Start
) -> None:
    store = EtcdStore(Keys(etcd.gateway(), "/steering/cell/kept/"))
    for text in ("policy: 1\n", TEXT):
        History(store).apply(text, "ann", 1.0)
    assert start("a").operator.policy() == PolicyText(2, TEXT)
    assert '"version": 2' in store._keys.get("policy/active").text  # type: ignore[union-attr]


def test_who_starts_is_not_waited_for_until_it_listens(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member is one before its engine is made; what it has to be prepared for it cannot hear of yet."""
    first, second = start("a"), start("b", listens=False)
    assert first.operator.replace_policy(TEXT, "ann", False).version == 2
    assert second.operator.policy().version == 1
    second.listens = True
    second.hear()
    assert second.operator.policy() == PolicyText(2, TEXT)
    monkeypatch.setattr(second.operator, "check_policy", lambda text: (None, "no MCP 'far'"))
    with pytest.raises(PolicyDisagreement, match="b refuses it"):
        first.operator.replace_policy("policy: 1\n", "ann", False)


def test_a_policy_in_force_that_this_site_does_not_allow_starts_nothing(start: Start) -> None:
    first = start("a")
    name = "policies/2.json"
    History(first.store).apply("policy: 1\nrulez: []\n", "ann", 1.0)
    assert first.store.read(name) is not None
    first.store._keys.put("policy/active", '{"id": "", "version": 2, "sha256": "0"}')
    with pytest.raises(SettingsError, match="version 2 of the policy is another one"):
        start("b")
    first.store._keys.put("policy/active", "none of ours")
    with pytest.raises(SettingsError, match="none of ours"):
        start("c")
    first.store._keys.delete("policy/active")
    with pytest.raises(SettingsError, match="rulez"):
        start("d")


def test_a_policy_written_at_any_member_is_decided_by_at_all(start: Start) -> None:
    first, second = start("a"), start("b")
    for version, writer in enumerate((second, first), 2):
        outcome = writer.operator.replace_policy(f"{TEXT}# {version}\n", "ann", False)
        assert outcome.accepted and outcome.version == version
        for one in (first, second):
            one.hear()
            assert one.operator.policy() == PolicyText(version, f"{TEXT}# {version}\n")
            assert one.driver.engine.policy.version == version
    outcome = first.operator.rollback_policy(2, "bob")  # type: ignore[assignment]
    second.hear()
    assert outcome.version == 4 and second.operator.policy() == PolicyText(4, f"{TEXT}# 2\n")
    assert second.operator.policy_versions()[-1]["comment"] == "rolled back to version 2"
    assert second.policies.events() == {PolicyEvent.ACTIVATED: 3}
    assert second.policies.seconds() is not None


def test_what_a_members_own_check_refuses_is_in_force_nowhere(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    first, second = start("a"), start("b")
    assert second.operator.check_policy("rulez: []\n")[0] is None
    assert "rulez" in second.operator.check_policy("policy: 1\nrulez: []\n")[1]
    monkeypatch.setattr(second.operator, "check_policy", lambda text: (None, "no MCP 'far'"))
    with pytest.raises(PolicyDisagreement, match="b refuses it: no MCP 'far'"):
        first.operator.replace_policy(TEXT, "ann", False)
    path = tmp_path / "policy.yaml"
    path.write_text(TEXT)
    first.operator.reload(str(path))
    assert "the policy stays as it is: b refuses it" in caplog.text
    for one in (first, second):
        one.hear()
        assert one.operator.policy().version == one.driver.engine.policy.version == 1
    assert first.operator.replace_policy("policy: 1\nrulez: []\n", "ann", False).findings


@pytest.mark.parametrize(
    ("key", "revision", "outdated"),
    [("kept/policies/3.json", 8, False), ("kept/acl.json", 8, True), ("kept/acl.json", 7, False), ("kept/policies.json", 8, True)],
)  # fmt: skip
def test_a_member_begins_anew_with_what_is_kept_but_not_for_a_policy(
    key: str, revision: int, outdated: bool
) -> None:
    changes = [KeyChange("kept/policies/2.json", "{}", 8), KeyChange(key, None, revision)]
    assert outdates(changes, 7) is outdated
