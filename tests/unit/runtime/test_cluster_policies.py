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
from steering.runtime import cluster_policies as module
from steering.runtime.cluster_policies import ClusterPolicies, outdates
from steering.runtime.declared_site import DeclaredSite
from steering.runtime.operator import Operator, keep_version
from steering.runtime.registrar import Registrar
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
    """One controller as far as policies go: an engine, an operator, and its part of the agreement."""

    def __init__(self, etcd: FakeEtcd, folder: Path, name: str, own: str) -> None:
        (folder / name).mkdir()
        self.driver = driver = Driver()
        kept = Keys(etcd.gateway(), "/steering/cell/kept/")
        cluster = Keys(etcd.gateway(), "/steering/cell/cluster/")
        self.store = EtcdStore(kept)
        coordination = Coordination(cluster, ClusterMember(name, f"{name}:1"), "site")
        self.policies = ClusterPolicies(kept, self.store, cluster, coordination, 60.0)
        begun = self.policies.at_start(driver.site)
        text = own if begun is None else begun[1]
        version = self.policies.begin_with(
            text, lambda history: keep_version(history, text, "start", "started with", 1)
        )
        view = EngineView(driver.engine, lambda: driver.now, "0")
        declared = DeclaredSite({"mcps": []}, driver.site, [], MemoryStore())
        registrar = Registrar(declared, driver.engine, None, lambda work, *given: work(*given))
        self.operator = Operator(
            driver.engine, driver.counters, registrar, view, folder / name, lambda: driver.now,
            PolicyText(version, text), self.store, self.policies,
        )  # fmt: skip
        self.operator.connect(self.handle, self.handle)
        self.policies.follow_with(self.operator)
        coordination.join()

    def handle(self, given: Any) -> None:
        self.driver.engine.handle(given, self.driver.now)

    def hear(self) -> None:
        """What its watch would tell by now."""
        follower = self.policies._follower
        assert follower is not None
        follower.take(self.policies._watch._list())


Start = Callable[..., Member]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Starts members, each of which hears what happened whenever one waits."""
    etcd, members = FakeEtcd(), list[Member]()

    def sleep(_: float) -> None:
        for one in members:
            one.hear()

    monkeypatch.setattr(module, "hub", SimpleNamespace(sleep=sleep))

    def starts(name: str, own: str = "policy: 1\n") -> Member:
        members.append(Member(etcd, tmp_path, name, own))
        members[-1].hear()
        return members[-1]

    return starts


def test_the_first_starts_with_its_own_file_and_others_with_what_is_in_force(start: Start) -> None:
    first = start("a", "policy: 1\n# of a's file\n")
    second = start("b", "policy: 1\n# of b's file\n")
    assert first.operator.policy() == second.operator.policy() == PolicyText(1, "policy: 1\n# of a's file\n")
    assert first.operator.replace_policy(TEXT, "ann", False).version == 2
    assert start("c").operator.policy() == PolicyText(2, TEXT)
    assert [one["comment"] for one in first.operator.policy_versions()] == ["started with", ""]


def test_of_two_that_start_a_cell_at_once_the_second_goes_by_the_first_ones(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start("a", "policy: 1\n# of a's file\n")
    monkeypatch.setattr(ClusterPolicies, "at_start", lambda self, site: None)  # as it was before a had begun
    second = start("b", "policy: 1\n# of b's file\n")
    assert second.operator.policy() == first.operator.policy() == PolicyText(1, "policy: 1\n# of a's file\n")


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
