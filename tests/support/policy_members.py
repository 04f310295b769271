"""Members of a cell that agree on policies, without controllers: each with a lease, a watch, and what it goes by."""

import threading
from collections.abc import Callable

from steering.cluster.policy_agreement import PolicyAgreement, members_of, starting_of
from steering.cluster.policy_follower import PolicyFollower
from steering.cluster.policy_records import POLICY
from steering.model.control import PolicyText, PolicyWish, no_condition
from steering.model.policy import Policy
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Keys
from steering.store.etcd.watch import EtcdWatch
from tests.support.waiting import wait_for

LONG = 60.0  # seconds: the machine may be slow
FIRST = "policy: 1\n"


class PolicyUser:
    """What a member goes by. It refuses texts with `refuses` in them, and while it `waits` checks none to its end."""

    def __init__(self, text: str) -> None:
        self.now = PolicyText(1, text)
        self.refuses = "\0"
        self.checks = 0
        self.began: list[int] = []  # versions that came into force
        self.meanwhile: Callable[[], None] = lambda: None  # while a policy is checked
        self._may_go = threading.Event()
        self._may_go.set()

    def wait(self) -> None:
        self._may_go.clear()

    def go_on(self) -> None:
        self._may_go.set()

    def policy(self) -> PolicyText:
        return self.now

    def check_policy(self, text: str) -> tuple[Policy | None, str]:
        self.checks += 1
        self.meanwhile()
        assert self._may_go.wait(LONG)
        return (None, "no such MCP") if self.refuses in text else (Policy(), "")

    def activate(self, policy: Policy, version: int, text: str) -> None:
        self.now = PolicyText(version, text)
        self.began.append(version)


class PolicyMember:
    """A member at work. `now`: its clock where policies are written."""

    def __init__(
        self,
        gateway: EtcdGateway,
        cell: str,
        name: str,
        text: str = FIRST,
        refuses: str = "\0",
        waits: bool = False,
    ) -> None:
        self.name = name
        self.now = [0.0]
        self.user = PolicyUser(text)
        self.user.refuses = refuses
        if waits:
            self.user.wait()
        self.keys = Keys(gateway, f"/steering/{cell}/kept/")
        self.store = EtcdStore(self.keys)
        self._cluster = Keys(gateway, f"/steering/{cell}/cluster/")
        self.lease = self._cluster.grant(60)
        self._cluster.put(f"ctl/{name}", "{}", self.lease)
        self.follower = PolicyFollower(self.keys, self.store, name, self.user, lambda: self.lease)
        self._over = threading.Event()
        self.sleep: Callable[[float], object] = self._over.wait
        self.members = lambda: members_of(self._cluster)
        self.agreement = PolicyAgreement(
            self.keys, self.store, self.follower, lambda: self.members(), lambda: starting_of(self._cluster),
            lambda: self.lease,
            now=lambda: self.now[0], sleep=lambda seconds: self.sleep(seconds),
        )  # fmt: skip
        self.watch = EtcdWatch(self.keys, POLICY, quiet=0.5)
        self._thread = threading.Thread(target=self.watch.run, args=(self.follower.take,), daemon=True)
        self._thread.start()

    def put(self, text: str, unchanged: Callable[[], None] = no_condition) -> int:
        return self.agreement.put(PolicyWish(Policy(), text, self.name, "", 0.0), unchanged)

    def die(self) -> None:
        """Its lease ends, and it says nothing more."""
        self.end()
        self._cluster.revoke(self.lease)

    def end(self) -> None:
        self.user.go_on()
        self._over.set()
        self.watch.stop()
        self._thread.join(LONG)
        assert not self._thread.is_alive()

    def left(self) -> list[str]:
        """What there is in etcd beside what is in force and the versions that were."""
        names = [one.key for one in self.keys.below("", names_only=True).found]
        return [one for one in names if not one.startswith("kept/policies/") and one != "policy/active"]


class Writing:
    """A policy that is being written in a thread. `found`: the version, or what was raised."""

    def __init__(self, member: PolicyMember, text: str, unchanged: Callable[[], None] = no_condition) -> None:
        self.found: int | BaseException | None = None
        self._thread = threading.Thread(target=self._write, args=(member, text, unchanged), daemon=True)
        self._thread.start()

    def _write(self, member: PolicyMember, text: str, unchanged: Callable[[], None]) -> None:
        try:
            self.found = member.put(text, unchanged)
        except BaseException as error:
            self.found = error

    def expire(self, member: PolicyMember) -> int | BaseException | None:
        """Time passes at the writer, until it gives up."""

        def is_over() -> bool:
            member.now[0] += 100.0
            return not self._thread.is_alive()

        eventually(is_over)
        return self.found

    def over(self) -> int | BaseException | None:
        self._thread.join(LONG)
        assert not self._thread.is_alive()
        return self.found


def eventually(what: Callable[[], object]) -> None:
    wait_for(what, LONG)
