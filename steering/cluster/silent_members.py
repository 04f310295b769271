"""Decides which silent members of a cell count as gone.

A member is silent when its stream to this controller has ended. A silent member counts as gone while another member is heard, and
its standbys act at once. Where two or more members are silent and none is heard, this controller was probably cut off. Then only
etcd knows whether the others live: they keep their shares until their leases end.
"""

from collections.abc import Collection


class SilentMembers:
    """`silent`: members whose streams have ended. `heard`: controllers whose streams are open."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.heard: set[str] = set()
        self._waited: set[str] = set()  # silent members that are gone only when their lease ends

    @property
    def gone(self) -> set[str]:
        """The members that count as gone although their leases live."""
        return self.silent - self._waited

    @property
    def is_cut_off(self) -> bool:
        """Whether this controller seems to be cut off from all others."""
        return bool(self._waited) and not self.heard

    def found(self, name: str) -> bool:
        """Note that a controller is heard; whether it was silent before."""
        was_silent = name in self.silent
        self.heard.add(name)
        self.silent.discard(name)
        self._waited.discard(name)
        return was_silent

    def lost(self, names: Collection[str], members: Collection[str]) -> bool:
        """Note that streams of controllers have ended; whether a member is newly silent. `members`: the other members."""
        self.heard.difference_update(names)
        fresh = set(names) & set(members) - self.silent
        self.silent |= fresh
        if not self.heard and (self._waited or len(self.silent) > 1):
            self._waited |= fresh
        return bool(fresh)

    def keep(self, members: Collection[str]) -> None:
        """Forget controllers that are no longer members in etcd."""
        self.silent.intersection_update(members)
        self._waited.intersection_update(members)
