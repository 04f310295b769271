"""Which members of a cell are silent, and which of them are gone.

One that is silent while another member is heard is gone: who stands by for it acts at once. Where two or more are silent and
nobody is heard, it is this controller that was cut off, more likely than that all others died in one moment. Whether they live is
then known to etcd alone, by their leases: until those end, they decide for what they decided for.
"""

from collections.abc import Collection


class SilentMembers:
    """`silent`: members whose streams have ended. `heard`: controllers whose streams are open."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.heard: set[str] = set()
        self._waited: set[str] = set()  # silent ones that are gone only when etcd says so

    @property
    def gone(self) -> set[str]:
        """Members that count as gone though their leases live."""
        return self.silent - self._waited

    @property
    def is_cut_off(self) -> bool:
        """Whether others seem to be silent since nothing of them comes through."""
        return bool(self._waited) and not self.heard

    def found(self, name: str) -> bool:
        """A controller is heard. Whether it was silent."""
        was_silent = name in self.silent
        self.heard.add(name)
        self.silent.discard(name)
        self._waited.discard(name)
        return was_silent

    def lost(self, names: Collection[str], members: Collection[str]) -> bool:
        """Streams of these controllers have ended. Whether a member is silent that was not before."""
        self.heard.difference_update(names)
        fresh = set(names) & set(members) - self.silent
        self.silent |= fresh
        if not self.heard and (self._waited or len(self.silent) > 1):
            self._waited |= fresh
        return bool(fresh)

    def keep(self, members: Collection[str]) -> None:
        """Only these are members, by etcd."""
        self.silent.intersection_update(members)
        self._waited.intersection_update(members)
