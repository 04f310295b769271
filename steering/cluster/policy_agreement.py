"""Puts a policy in force at all members of a cell or at none: a two-phase commit by compare-and-set on keys of etcd.

The member at which a policy is written stores its text in etcd and proposes it. There is one proposal at a time, and it ends with
its proposer's lease. Each member answers that it is prepared, or why it refuses (policy_follower). When all members that were there
from the start have agreed, one transaction puts the policy in force, adds its version to the history, and ends the proposal. The
transaction does nothing where an answer, the proposal or the policy in force has changed since. In every other case the proposal
is withdrawn, and its chunks and answers are removed.
"""

import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping

from steering.cluster.cell import CONTROLLER, MEMBER, STARTS
from steering.cluster.policy_follower import PolicyFollower, PreparedPolicy
from steering.cluster.policy_records import (
    ACK,
    ACTIVE,
    PROPOSAL,
    ActivePolicy,
    PolicyAck,
    PolicyProposal,
    read_ack,
    read_active,
    read_proposal,
    record_text,
)
from steering.model.cluster import MOST_MEMBERS, POLICY_PATIENCE, PolicyEvent
from steering.model.control import Condition, PolicyDisagreement, PolicyWish
from steering.store.etcd.access import EtcdError
from steering.store.etcd.etcd_store import EtcdStore, state_error
from steering.store.etcd.keys import Delete, Keys, KeyValue, Put
from steering.store.interface import StateError
from steering.store.policy_history import History, HistoryError, digest, drafted, version_name, version_text

CHECKS = 3.0  # members get this many times the seconds that the check took at the proposer, in addition
LOOK = 0.05  # seconds between two looks at members' answers
MOST_REMAINS = 8  # proposals whose withdrawal failed and is tried again
MOST_NAMED = 8  # members that one message names

Members = Mapping[str, int]
"""Member -> etcd's revision at which it joined; members whose lease lives."""

log = logging.getLogger(__name__)


class PolicyAgreement:
    """Implements `model.control.PolicyConsensus` for policies that are written at this member. `members` and `starting` read from
    etcd the members of the cell, and those that do not follow proposals yet; they raise EtcdError. `lease`: of this member.
    `patience`: seconds, see POLICY_PATIENCE. `now`: seconds, monotonic."""

    def __init__(
        self,
        keys: Keys,
        store: EtcdStore,
        follower: PolicyFollower,
        members: Callable[[], Members],
        starting: Callable[[], Collection[str]],
        lease: Callable[[], int],
        patience: float = POLICY_PATIENCE,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._keys = keys
        self._store = store
        self._history = History(store)
        self._follower = follower
        self._members = members
        self._starting = starting
        self._lease = lease
        self._patience = patience
        self._now = now
        self._sleep = sleep
        self._remains: deque[PolicyProposal] = deque(maxlen=MOST_REMAINS)

    def put(self, wish: PolicyWish, unchanged: Condition) -> int:
        began = self._now()
        try:
            proposed = self._propose(wish, unchanged)
            if proposed is None:
                return self._follower.taker.policy().version
            proposal, base = proposed
            self._follower.prepare_own(PreparedPolicy(proposal.id, wish.policy, wish.text, began))
            try:
                self._agree(proposal, base, digest(wish.text), self._bound(wish))
            except Exception as error:
                came = self._withdraw(proposal)
                if came is None:
                    raise PolicyDisagreement(
                        f"etcd does not answer: whether version {proposal.version} of the policy is in force is told by "
                        "GET /v1/policy when it does"
                    ) from error
                if not came:
                    raise
                log.warning("policy version %d is in force all the same: %s", proposal.version, error)
            except BaseException:  # this greenthread is being ended
                self._remains.append(proposal)
                raise
        except PolicyDisagreement as why:
            self._follower.events[PolicyEvent.REFUSED if why.refused else PolicyEvent.LATE] += 1
            raise
        except EtcdError as error:
            raise state_error(error) from None
        except HistoryError as error:
            raise PolicyDisagreement(str(error)) from None
        self._follower.in_force(PreparedPolicy(proposal.id, wish.policy, wish.text, began), proposal.version)
        self._tidy()
        return proposal.version

    def look(self) -> None:
        """Withdraw proposals that could not be withdrawn before. Called now and then."""
        for _ in range(len(self._remains)):
            self._withdraw(self._remains.popleft())

    # ---- the first phase ------------------------------------------------------------------------

    def _bound(self, wish: PolicyWish) -> float:
        """The time by which all have to be prepared. Checking a very long policy takes minutes, at other members as here."""
        return self._now() + self._patience + CHECKS * wish.check_seconds

    def _propose(self, wish: PolicyWish, unchanged: Condition) -> tuple[PolicyProposal, int] | None:
        """The proposal, and etcd's revision of the policy in force; None where that is the same policy. Raises
        PolicyDisagreement where other proposals stand until the time is over, what `unchanged` raises, EtcdError and
        HistoryError."""
        ends = self._bound(wish)
        while True:
            standing, active = self._keys.get(PROPOSAL), self._keys.get(ACTIVE)
            base = 0 if active is None else active.revision
            if standing is not None:
                self._clear(standing)
            elif base == self._follower.revision:
                unchanged()
                if active is not None and self._is_same(active.text, wish.text):
                    return None
                made = self._try(wish, base)
                if made is not None:
                    return made, base
            if self._now() >= ends:
                what = (
                    "the policy in force is not known here yet"
                    if standing is None
                    else "another one is proposed"
                )
                raise PolicyDisagreement(f"the policy stays as it is: {what}; write it again")
            self._sleep(LOOK)

    def _is_same(self, active: str, text: str) -> bool:
        """Whether the policy in force, in etcd and at this member, already has this text."""
        try:
            told = read_active(active)
        except ValueError:
            return False
        return told.sha256 == digest(text) and told.version == self._follower.taker.policy().version

    def _clear(self, standing: KeyValue) -> None:
        """Remove a proposal whose proposer is not another live member. Usually its lease ends it. What is left is a proposal of
        an earlier run of this member, or a text that this program did not write."""
        try:
            proposal = read_proposal(standing.text)
            if proposal.by in self._others():
                return
        except ValueError:
            proposal = None
        self._follower.events[PolicyEvent.LEFT_OVER] += 1
        self._keys.commit({PROPOSAL: standing.revision}, [Delete(PROPOSAL), Delete(ACK, all_below=True)])
        if proposal is not None:
            self._discard(proposal)

    def _try(self, wish: PolicyWish, base: int) -> PolicyProposal | None:
        """Put a proposal; None where another member was faster."""
        numbers = self._history.numbers()
        number = numbers[0] + 1 if numbers else 1
        version = drafted(number, wish.text, wish.who, time.time(), wish.comment)
        name = version_name(number)
        head = self._store.stage(name, version_text(version))
        proposal = PolicyProposal(secrets.token_hex(8), self._follower.me, number, head)
        put = Put(PROPOSAL, record_text(proposal), self._lease())
        try:
            if self._keys.commit({PROPOSAL: 0, ACTIVE: base, self._store.placed(name, head).key: 0}, [put]):
                return proposal
        except EtcdError:
            self._remains.append(proposal)  # etcd may have put it all the same
            raise
        self._discard(proposal)
        return None

    # ---- the second phase -----------------------------------------------------------------------

    def _agree(self, proposal: PolicyProposal, base: int, sha256: str, ends: float) -> None:
        """Put a proposed policy in force when all are prepared. Raises PolicyDisagreement where not all are, and EtcdError."""
        standing = self._keys.get(PROPOSAL)
        revision = 0 if standing is None or _id(standing.text) != proposal.id else standing.revision
        required = self._required()
        while True:
            is_last = self._now() >= ends  # read before the answers, so that late answers still count
            if not self._stands(revision):
                if self._is_in_force(proposal):
                    return  # it is in force: only etcd's answer to the transaction was lost
                raise PolicyDisagreement(
                    "the policy stays as it is: etcd took this controller for gone meanwhile; write it again"
                )
            said, there = self._said(proposal.id), self._others()
            # A member that has joined again since the proposal is not waited for: it reads the policy in force at its start.
            required = {name: since for name, since in required.items() if there.get(name) == since}
            refused = {
                name: said[name][0].refusal for name in required if name in said and said[name][0].refusal
            }
            if refused:
                raise PolicyDisagreement(f"the policy stays as it is: {_reasons(refused)}", refused)
            late = sorted(required.keys() - said.keys())
            answers = {ACK + name: said[name][1] for name in required if name in said}
            if not late and self._activate(proposal, sha256, {PROPOSAL: revision, ACTIVE: base, **answers}):
                return
            if is_last:
                who = f"not prepared in time: {_named(late)}" if late else "members came and went"
                raise PolicyDisagreement(f"the policy stays as it is: {who}; write it again")
            self._sleep(LOOK)

    def _activate(self, proposal: PolicyProposal, sha256: str, unchanged: dict[str, int]) -> bool:
        """Put the policy in force in one transaction. False where a key of `unchanged` has changed, or etcd's answer was
        lost."""
        place = self._store.placed(version_name(proposal.version), proposal.head)
        active = ActivePolicy(proposal.id, proposal.version, sha256)
        try:
            return self._keys.commit(
                unchanged | {place.key: 0},
                [Put(ACTIVE, record_text(active)), place, Delete(PROPOSAL), Delete(ACK, all_below=True)],
            )
        except EtcdError as error:
            if not error.unsure:
                raise
            return False

    def _said(self, proposal: str) -> dict[str, tuple[PolicyAck, int]]:
        """Member -> its answer to a proposal, and etcd's revision of the answer."""
        found = {}
        for one in self._keys.below(ACK, most=2 * MOST_MEMBERS).found:
            try:
                ack = read_ack(one.text)
            except ValueError:
                self._follower.events[PolicyEvent.DAMAGED] += 1
                continue
            if ack.id == proposal:
                found[one.key.removeprefix(ACK)] = ack, one.revision
        return found

    def _required(self) -> dict[str, int]:
        """The members that have to be prepared: all that follow proposals. A starting member reads the policy in force when
        it begins to follow."""
        others = self._others()
        starting = (
            self._starting()
        )  # read last: a member that began to follow meanwhile hears of this proposal
        return {name: since for name, since in others.items() if name not in starting}

    def _others(self) -> dict[str, int]:
        return {name: since for name, since in self._members().items() if name != self._follower.me}

    # ---- the end --------------------------------------------------------------------------------

    def _stands(self, revision: int) -> bool:
        """Whether the proposal of this revision still stands. Its text is not read again."""
        found = self._keys.below(PROPOSAL, names_only=True).found
        return any(one.key == PROPOSAL and one.revision == revision for one in found)

    def _is_in_force(self, proposal: PolicyProposal) -> bool:
        active = self._keys.get(ACTIVE)
        try:
            return active is not None and read_active(active.text).id == proposal.id
        except ValueError:
            return False

    def _withdraw(self, proposal: PolicyProposal) -> bool | None:
        """Withdraw a proposal and remove its chunks and answers. True where it has come into force after all, since etcd's answer
        may have been lost. None where etcd does not answer; then `look` tries again."""
        try:
            standing = self._keys.get(PROPOSAL)
            if standing is not None and _id(standing.text) == proposal.id:
                self._keys.commit(
                    {PROPOSAL: standing.revision}, [Delete(PROPOSAL), Delete(ACK, all_below=True)]
                )
            if self._is_in_force(proposal):
                return True
        except EtcdError:
            self._remains.append(proposal)
            return None
        self._discard(proposal)
        return False

    def _discard(self, proposal: PolicyProposal) -> None:
        try:
            self._store.discard(version_name(proposal.version), proposal.head)
        except StateError as error:
            log.warning("a policy that is in force nowhere stays in etcd until it is old: %s", error)

    def _tidy(self) -> None:
        """Remove old versions, and old chunks while nothing is proposed. Errors are logged only: the new policy is in force."""
        self._history.forget_old()
        try:
            self._store.sweep({PROPOSAL: 0})
        except StateError as error:
            log.warning("what is old stays in etcd: %s", error)


def claim(keys: Keys, version: int, text: str) -> None:
    """Put a stored version in force where etcd has no ACTIVE key yet, as after an upgrade from a release without that key.
    Otherwise nothing changes. Raises EtcdError."""
    first = ActivePolicy("", version, digest(text))
    keys.commit({ACTIVE: 0}, [Put(ACTIVE, record_text(first))])


def begin(keys: Keys, store: EtcdStore, text: str, who: str, comment: str) -> bool:
    """Put the first policy of a cell in force, without a proposal, as no member follows another one yet. The same transaction
    stores it as version 1, so that of several members which start at once only one succeeds. False where another member was
    faster. Raises EtcdError, StateError and HistoryError."""
    name = version_name(1)
    head = store.stage(name, version_text(drafted(1, text, who, time.time(), comment)))
    place = store.placed(name, head)
    first = ActivePolicy("", 1, digest(text))
    if keys.commit({ACTIVE: 0, place.key: 0}, [Put(ACTIVE, record_text(first)), place]):
        return True
    store.discard(name, head)
    return False


def members_of(keys: Keys) -> dict[str, int]:
    """Member -> etcd's revision at which it joined, for the members of a cell whose lease lives now. `keys`: the keys of
    `coordination`. Raises EtcdError."""
    found = keys.below(MEMBER, names_only=True, most=2 * MOST_MEMBERS).found
    names = ((one.key.removeprefix(MEMBER), one.revision) for one in found)
    return {name: since for name, since in names if CONTROLLER.fullmatch(name)}


def starting_of(keys: Keys) -> set[str]:
    """The members that do not follow proposals yet. `keys`: the keys of `coordination`. Raises EtcdError."""
    found = keys.below(STARTS, names_only=True, most=2 * MOST_MEMBERS).found
    return {one.key.removeprefix(STARTS) for one in found}


def _id(text: str) -> str:
    try:
        return read_proposal(text).id
    except ValueError:
        return ""


def _reasons(refused: Mapping[str, str]) -> str:
    told = [f"{name} refuses it: {refused[name]}" for name in sorted(refused)]
    more = f"; and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    return "; ".join(told[:MOST_NAMED]) + more


def _named(some: Iterable[str]) -> str:
    names = list(some)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
