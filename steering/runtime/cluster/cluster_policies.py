"""The policy of a cell: which policy a controller starts with, and how a new one comes into force at all members."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping

from os_ken.lib import hub

from steering.cluster.coordination import Coordination
from steering.cluster.policy_agreement import PolicyAgreement, begin, claim, members_of, starting_of
from steering.cluster.policy_follower import PolicyFollower
from steering.cluster.policy_records import ACTIVE, POLICY, read_active
from steering.model.cluster import PolicyEvent
from steering.model.control import Condition, PolicyTaker, PolicyWish
from steering.model.network import Site
from steering.model.policy import Policy
from steering.policy import parse_policy
from steering.runtime.settings import SettingsError
from steering.store.etcd.access import EtcdError
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import EtcdWatch, KeyChange
from steering.store.interface import StateError
from steering.store.policy_history import FOLDER, History, HistoryError, Version

LOOK = 1.0  # seconds between attempts after a failed request to etcd

log = logging.getLogger(__name__)


class ClusterPolicies:
    """Implements `model.control.PolicyConsensus` after `follow_with` was called. `kept`: the keys of the kept state, and
    `store` the store with these keys; `cluster`: the keys of the members; `patience`: seconds in which every member has
    to be prepared."""

    def __init__(
        self, kept: Keys, store: EtcdStore, cluster: Keys, coordination: Coordination, patience: float
    ) -> None:
        self._keys = kept
        self._store = store
        self._cluster = cluster
        self._coordination = coordination
        self._patience = patience
        self._watch = EtcdWatch(kept, POLICY)
        self._follower: PolicyFollower | None = None
        self._agreement: PolicyAgreement | None = None
        self._began: Version | None = None
        self._stopped = False

    # ---- the start ------------------------------------------------------------------------------

    def at_start(self, site: Site) -> tuple[Policy, str] | None:
        """The policy in force in the cell and its text; None before the first policy. Raises SettingsError for a policy
        that this site does not allow."""
        try:
            version = self._began = self._in_force()
        except (EtcdError, HistoryError, ValueError) as error:
            raise SettingsError(f"--cluster: {error}") from None
        if version is None:
            return None
        policy, findings = parse_policy(version.text, f"version {version.version} of the policy", site)
        if policy is None or findings:
            raise SettingsError(f"--cluster: {findings[0]}")
        return policy, version.text

    def begin_with(self, site: Site, policy: Policy, text: str) -> tuple[Policy, str]:
        """The policy that this controller starts with, and its text: the policy in force in the cell. Where none was,
        `policy` comes into force. Where several members start first at once, one of them wins, and the others start with
        its policy. Raises SettingsError."""
        try:
            if self._began is None and not begin(self._keys, self._store, text, "start", "started with"):
                theirs = self.at_start(site)
                if theirs is None:
                    raise SettingsError("--cluster: another policy came and went meanwhile: start again")
                if theirs[1] != text:
                    log.warning(
                        "another controller has begun this cell with another policy, which is in force: it counts, and not "
                        "this one's --policy"
                    )
                policy, text = theirs
            if self._began is not None:
                claim(self._keys, self.version, text)
        except (EtcdError, StateError, HistoryError) as error:
            raise SettingsError(f"--cluster: {error}") from None
        return policy, text

    @property
    def version(self) -> int:
        """The version of the policy that this controller starts with."""
        return 1 if self._began is None else self._began.version

    def _in_force(self) -> Version | None:
        """The version in force; None before the first. Raises EtcdError, HistoryError, and ValueError for a value in etcd
        that is no version."""
        history, active = History(self._store), self._keys.get(ACTIVE)
        if active is None:
            return history.current()
        try:
            told = read_active(active.text)
        except ValueError:
            raise ValueError("what etcd says of the policy in force is none of ours") from None
        version = history.read(told.version)
        if version.sha256 != told.sha256:
            raise HistoryError(f"version {told.version} of the policy is another one than that in force")
        return version

    def follow_with(self, taker: PolicyTaker) -> None:
        """Give each agreed policy to `taker` from now on."""
        member = self._coordination
        self._follower = PolicyFollower(
            self._keys, self._store, member.me.id, taker, lambda: member.lease, time.monotonic
        )
        self._agreement = PolicyAgreement(
            self._keys,
            self._store,
            self._follower,
            lambda: members_of(self._cluster),
            lambda: starting_of(self._cluster),
            lambda: member.lease,
            self._patience,
            sleep=hub.sleep,
        )

    # ---- while it runs --------------------------------------------------------------------------

    def follow(self) -> None:
        """Bring agreed policies into force until `stop`; runs in a greenthread of its own."""
        self._watch.run(self.hear)

    def hear(self, changes: list[KeyChange]) -> None:
        """Take changes from the watch. From the first call on this member learns of every proposal, and other members
        wait for its answer. Raises nothing."""
        assert self._follower is not None
        self._follower.take(changes)
        self._tell()

    def _tell(self) -> None:
        try:
            self._coordination.follows()
        except EtcdError as error:
            log.warning("the cell cannot be told that this controller follows its policy: %s", error)

    def look(self, sleep: Callable[[float], None]) -> None:
        """Repeat failed requests to etcd until `stop`; runs in a greenthread of its own."""
        assert self._follower is not None and self._agreement is not None
        while not self._stopped:
            sleep(LOOK)
            try:
                self._follower.look()
                self._agreement.look()
                if self._watch.listed:
                    self._tell()
            except Exception:
                log.exception("a policy could not be agreed on")

    def stop(self) -> None:
        self._stopped = True
        self._watch.stop()

    def put(self, wish: PolicyWish, unchanged: Condition) -> int:
        assert self._agreement is not None
        return self._agreement.put(wish, unchanged)

    def events(self) -> Mapping[PolicyEvent, int]:
        return {} if self._follower is None else self._follower.events

    def seconds(self) -> float | None:
        """Seconds from when this member saw the last policy until the policy came into force; None before the first."""
        return None if self._follower is None else self._follower.seconds


def outdates(changes: Iterable[KeyChange], read_at: int) -> bool:
    """Whether the kept state differs from what a start has read at etcd's revision `read_at`. Versions of the policy do
    not count: they come into force without another start."""
    return any(one.revision > read_at and not one.key.startswith(f"kept/{FOLDER}/") for one in changes)
