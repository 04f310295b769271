"""Finds the changes of the kept state that this controller has not made itself: it has read the state before them.

Only the owner of the first share changes that state, and others begin anew after that. A new owner takes the share over at once, and its
watch of etcd may tell it seconds later what the owner before had changed: for example where one machine had that controller and the
member of etcd that is watched. It would decide without these changes, and write over them.
"""

from collections.abc import Callable, Collection

from steering.store.etcd.watch import KeyChange


class KeptChanges:
    """`me`: this controller. `wrote(key, text)`: whether it has given a key this text itself, or removed it (None)."""

    def __init__(self, me: str, wrote: Callable[[str, str | None], bool]) -> None:
        self._me = me
        self._wrote = wrote
        self._owner = ""
        self._since = 0

    def decided_by(self, owner: str, revision: int) -> None:
        """Etcd names this owner of the first share. `revision`: of the change that says so."""
        if owner != self._owner:
            # The state of a cell that nobody has decided for was written by those who start there.
            self._since = revision if owner == self._me and self._owner else 0
            self._owner = owner

    def of_others(self, changes: Collection[KeyChange], decides: bool) -> list[KeyChange]:
        """The changes of others. `decides`: whether this controller owns the first share, as far as it knows: etcd may not say so yet."""
        if not decides:
            return list(changes)
        return [one for one in changes if self._is_earlier(one) and not self._wrote(one.key, one.text)]

    def _is_earlier(self, change: KeyChange) -> bool:
        return self._owner != self._me or change.revision < self._since
