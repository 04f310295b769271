"""A member's side of the agreement on a policy: it checks a proposed policy, answers, and activates the policy in force.

One key of etcd names the policy in force, and every member watches it. A member that is prepared has the policy in memory, so all
activate it within the watch's delay. A member that was not there when the policy was proposed reads it from etcd by its version.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from steering.cluster.policy_records import (
    ACK,
    ACTIVE,
    PROPOSAL,
    ActivePolicy,
    PolicyAck,
    PolicyProposal,
    one_line,
    read_ack,
    read_active,
    read_proposal,
    record_text,
)
from steering.model.cluster import PolicyEvent
from steering.model.control import PolicyTaker
from steering.model.policy import Policy
from steering.store.etcd.access import EtcdError
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.keys import Delete, Keys, Put
from steering.store.etcd.watch import KeyChange
from steering.store.interface import StateError, StateRefusal
from steering.store.policy_history import HistoryError, digest, read_version, version_name

log = logging.getLogger(__name__)


class PreparedPolicy(NamedTuple):
    """A checked policy that this member can activate at once. `id`: of its proposal. `since`: when this member first saw it,
    seconds of `now`."""

    id: str
    policy: Policy
    text: str
    since: float


class PolicyFollower:
    """`me`: this controller's name. `lease`: its membership's lease, with which its answers to proposals end. `store`: on the same
    `keys`. `taker` checks and activates policies. `seconds`: the time from when this member first saw the last policy to its
    activation. `revision`: etcd's revision of the policy in force, as far as this member knows it."""

    def __init__(
        self,
        keys: Keys,
        store: EtcdStore,
        me: str,
        taker: PolicyTaker,
        lease: Callable[[], int],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.me = me
        self.taker = taker
        self.events: Counter[PolicyEvent] = Counter()
        self.seconds: float | None = None
        self.revision = 0
        self._keys = keys
        self._store = store
        self._lease = lease
        self._now = now
        self._prepared: PreparedPolicy | None = None
        self._standing: PolicyProposal | None = None  # another member's proposal
        self._in_force = ""  # the id of the proposal of the policy in force
        self._owed: tuple[ActivePolicy, int] | None = None  # a policy in force that could not be read yet

    def take(self, changes: list[KeyChange]) -> None:
        """Take changes from the watch of the policy's keys. Never raises, since an exception would end the watch."""
        # One transaction puts a policy in force and deletes its proposal. The former is handled first.
        for change in sorted(changes, key=lambda one: (one.revision, one.key != ACTIVE)):
            try:
                if change.key == ACTIVE:
                    self._activated(change)
                elif change.key == PROPOSAL:
                    self._proposed(change)
            except ValueError:
                self.events[PolicyEvent.DAMAGED] += 1
            except (EtcdError, StateError) as error:
                log.warning("a policy cannot be agreed on for the moment: %s", error)
            except Exception:
                # Without the watch this member would answer no proposal, and no policy could come into force at any member.
                log.exception("a policy could not be agreed on")

    def look(self) -> None:
        """Read a policy in force that could not be read before. Called now and then."""
        if self._owed is not None:
            self._go_by(*self._owed)

    # ---- a proposal -----------------------------------------------------------------------------

    def prepare_own(self, prepared: PreparedPolicy) -> None:
        """Note a policy that this member itself proposes."""
        self._prepared = prepared

    def in_force(self, prepared: PreparedPolicy, version: int) -> None:
        """Activate a policy that this member proposed. Its watch may have done so already."""
        self._in_force = prepared.id
        self._activate(prepared, version)

    def _proposed(self, change: KeyChange) -> None:
        if change.text is None:
            self._ended()
            return
        proposal = read_proposal(change.text)
        if proposal.by == self.me:
            return
        self._standing = proposal
        since = self._now()
        found = self._check(proposal)
        if found is None:
            return
        policy, text, refusal = found
        if policy is not None:
            self._prepared = PreparedPolicy(proposal.id, policy, text, since)
        said = Put(ACK + self.me, record_text(PolicyAck(proposal.id, one_line(refusal))), self._lease())
        # The check may have taken long, so the answer is put only if the proposal still stands.
        if self._keys.commit({PROPOSAL: change.revision}, [said]) and policy is None:
            self.events[PolicyEvent.TURNED_DOWN] += 1
            log.warning("a policy that was written at %s is refused: %s", proposal.by, refusal)

    def _check(self, proposal: PolicyProposal) -> tuple[Policy | None, str, str] | None:
        """The proposed policy (None: refused), its text, and the reason of a refusal. None where etcd does not answer."""
        name = version_name(proposal.version)
        try:
            text = read_version(proposal.version, self._store.staged(name, proposal.head)).text
        except HistoryError as error:
            return None, "", str(error)
        except StateError as error:
            if error.refusal is StateRefusal.UNREACHABLE:
                return None
            return None, "", str(error)
        policy, refusal = self.taker.check_policy(text)
        return policy, text, refusal

    def _ended(self) -> None:
        """Handle the end of a proposal: the policy is in force, was withdrawn, or its proposer's lease has ended."""
        proposal, self._standing = self._standing, None
        if proposal is None or proposal.id == self._in_force:
            return
        if self._prepared is not None and self._prepared.id == proposal.id:
            self._prepared = None
        own = ACK + self.me
        said = self._keys.get(own)
        # A withdrawal deletes all answers. If this member's answer is still there, the proposer has died.
        if said is not None and read_ack(said.text).id == proposal.id:
            self.events[PolicyEvent.LEFT_OVER] += 1
            log.warning("a policy that was written at %s came into force nowhere", proposal.by)
            self._keys.commit({own: said.revision}, [Delete(own)])
            self._store.discard(version_name(proposal.version), proposal.head)

    # ---- what is in force -----------------------------------------------------------------------

    def _activated(self, change: KeyChange) -> None:
        if change.text is None:
            self.revision, self._owed = 0, None  # the key is deleted only with a new etcd cluster
            return
        self._go_by(read_active(change.text), change.revision)

    def _go_by(self, active: ActivePolicy, revision: int) -> None:
        self._owed = None
        self._in_force = active.id
        there = self.taker.policy()
        if there.version != active.version or digest(there.text) != active.sha256:
            prepared = self._prepared
            try:
                if prepared is None or not active.id or prepared.id != active.id:
                    prepared = self._read(active)
            except StateError as error:
                log.warning("the policy in force cannot be read yet: %s", error)
                self._owed = active, revision
                return
            except HistoryError as error:
                # Other members use this policy. `revision` is set below all the same, so that a next one can be written here.
                self.events[PolicyEvent.NOT_TAKEN] += 1
                log.error("the policy in force is not taken: %s", error)
            else:
                if revision < self.revision:
                    return  # a newer one came into force while this one was read
                self._activate(prepared, active.version)
        self.revision = revision

    def _read(self, active: ActivePolicy) -> PreparedPolicy:
        """Read and check the policy in force. Raises StateError where it may be readable later, and HistoryError where this
        member cannot use it."""
        since = self._now()
        try:
            kept = self._store.read(version_name(active.version))
        except StateError as error:
            if error.refusal is StateRefusal.UNREACHABLE:
                raise
            raise HistoryError(str(error)) from None
        if kept is None:
            raise HistoryError(f"there is no version {active.version} of the policy")
        version = read_version(active.version, kept)
        if version.sha256 != active.sha256:
            raise HistoryError(f"version {active.version} of the policy is another one")
        policy, refusal = self.taker.check_policy(version.text)
        if policy is None:
            raise HistoryError(refusal)
        return PreparedPolicy(active.id, policy, version.text, since)

    def _activate(self, prepared: PreparedPolicy, version: int) -> None:
        there = self.taker.policy()
        if (there.version, there.text) == (version, prepared.text):
            return
        self.taker.activate(prepared.policy, version, prepared.text)
        self._prepared = None
        self.seconds = self._now() - prepared.since
        self.events[PolicyEvent.ACTIVATED] += 1
        log.info("policy version %d is in force", version)
