"""An etcd in memory, as several controllers' `Coordination` see it, and the controllers. Nothing happens by itself: a test lets
each member look, and the clock stands still."""

from collections.abc import Callable, Iterable

from steering.cluster.coordination import Coordination
from steering.model.cluster import ClusterMember, ShareRole
from steering.store.etcd.access import EtcdAccess, EtcdEndpoint, EtcdError, EtcdFault
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.keys import Delete, KeyListing, Keys, KeyValue, Put
from steering.store.etcd.watch import KeyChange


class FakeEtcd:
    """What is kept, by key: text, revision, lease."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, int, int]] = {}
        self.revision = 0
        self.leases = 0

    def end_lease(self, lease: int) -> None:
        for key in [key for key, one in self.kept.items() if one[2] == lease]:
            del self.kept[key]


class FakeKeys(Keys):
    """One controller's way to it; `is_cut`: nothing gets through. `meanwhile`: what others do before its next changes, one each."""

    def __init__(self, etcd: FakeEtcd) -> None:
        super().__init__(EtcdGateway(EtcdAccess((EtcdEndpoint("192.0.2.1", 2379),))), "/")
        self._etcd = etcd
        self.is_cut = False
        self.meanwhile: list[Callable[[], object]] = []

    def _reach(self) -> None:
        if self.is_cut:
            raise EtcdError(EtcdFault.UNREACHABLE, "it is cut off")

    def get(self, key: str) -> KeyValue | None:
        self._reach()
        found = self._etcd.kept.get(key)
        return None if found is None else KeyValue(key, *found[:2])

    def below(self, begin: str, names_only: bool = False, most: int = 1_000_000) -> KeyListing:
        self._reach()
        found = [
            KeyValue(key, *one[:2]) for key, one in sorted(self._etcd.kept.items()) if key.startswith(begin)
        ]
        return KeyListing(found[:most], self._etcd.revision, "1")

    def put(self, key: str, text: str, lease: int = 0) -> int:
        self.commit({}, [Put(key, text, lease)])
        return self._etcd.revision

    def replace(self, key: str, revision: int, text: str) -> int:
        return self._etcd.revision if self.commit({key: revision}, [Put(key, text)]) else 0

    def delete(self, key: str, all_below: bool = False) -> None:
        self.commit({}, [Delete(key, all_below)])

    def commit(self, unchanged: dict[str, int], changes: Iterable[Put | Delete]) -> bool:
        self._reach()
        if self.meanwhile:
            self.meanwhile.pop(0)()
        kept = self._etcd.kept
        if any(kept.get(key, ("", 0, 0))[1] != revision for key, revision in unchanged.items()):
            return False
        self._etcd.revision += 1
        for change in changes:
            if isinstance(change, Put):
                kept[change.key] = (change.text, self._etcd.revision, change.lease)
            else:
                assert not change.all_below
                kept.pop(change.key, None)
        return True

    def grant(self, seconds: int) -> int:
        self._reach()
        self._etcd.leases += 1
        return self._etcd.leases

    def keep_alive(self, lease: int) -> bool:
        self._reach()
        return any(one[2] == lease for one in self._etcd.kept.values())

    def revoke(self, lease: int) -> None:
        self._reach()
        self._etcd.end_lease(lease)


class FakeMember:
    """One controller's part in a cell."""

    def __init__(
        self, etcd: FakeEtcd, name: str, shares: int, stream: str = "", starts_blind: bool = False
    ) -> None:
        self.name = name
        self.now = 0.0
        self._etcd = etcd
        self.keys = FakeKeys(etcd)
        self.changes = 0
        self.coordination = Coordination(
            self.keys, ClusterMember(name, f"{name}:1", stream=stream), "site", shares, changed=self._changed,
            now=lambda: self.now, starts_blind=starts_blind,
        )  # fmt: skip
        self.coordination.join()
        self.watch()

    def _changed(self) -> None:
        self.changes += 1

    def watch(self) -> None:
        """Hear of all that etcd holds, if it is reached."""
        coordination = self.coordination
        coordination._watch.reached = not self.keys.is_cut
        if self.keys.is_cut:
            return
        known, kept = coordination.cell.revisions, self._etcd.kept
        changes = [KeyChange(key, None, self._etcd.revision) for key in known.keys() - kept.keys()]
        changes += [KeyChange(key, *one[:2]) for key, one in kept.items() if known.get(key) != one[1]]
        coordination._take(changes)

    def look(self) -> None:
        """Hear what etcd says, and agree."""
        self.watch()
        try:
            self.coordination.look()
        except EtcdError:
            pass
        self.watch()

    def owns(self) -> set[str]:
        """The shares that it decides for, as it knows."""
        return {
            share
            for share in self.coordination.cell.shares
            if self.coordination.duty_of(share).role is ShareRole.OWNER
        }

    def end_lease(self) -> None:
        """It has said nothing for too long."""
        self._etcd.end_lease(self.coordination.lease)


class FakeCell:
    """Members that have joined, hear each other, and have divided the shares, one each. `stream`: the address at which each says
    that others hear it; "" for none."""

    def __init__(self, *names: str, shares: int = 0, stream: str = "") -> None:
        self.etcd = FakeEtcd()
        self._shares, self._stream = shares or len(names), stream
        self.members = {name: self._joined(name) for name in names}
        for one in self.members.values():
            for other in names:
                if other != one.name:
                    one.coordination.found(other)
        self.look()

    def _joined(self, name: str) -> FakeMember:
        return FakeMember(self.etcd, name, self._shares, self._stream)

    def begins_anew(self, name: str) -> FakeMember:
        """A member leaves, whose shares the others take, and joins again; it hears nobody yet."""
        one = self.members[name]
        one.coordination.leave()
        for other in self.members.values():
            if other is not one:
                other.look()
        self.members[name] = one = self._joined(name)
        return one

    def look(self, rounds: int = 10) -> None:
        """All members look in turn, until there is nothing to agree on."""
        for _ in range(rounds):
            for one in self.members.values():
                one.look()

    def owners(self) -> dict[str, str]:
        """Of each share, as etcd says."""
        any_one = FakeKeys(self.etcd).below("own/").found
        return {one.key.removeprefix("own/"): one.text.split('"')[1] for one in any_one}
