"""Decides which silent members of a cell count as gone.

A member is silent when its stream to this controller has ended. A silent member counts as gone while another member is heard, and
its standbys act at once. Where two or more members are silent and none is heard, this controller was probably cut off. Then only
etcd knows whether the others live: they keep their shares until their leases end.

Where only the connection between two members is cut, each of them takes the other for gone, and other members hear both. They would take
shares from each other for ever. So a silent member counts as gone no longer when etcd shows that it lives: it is named as the owner of a
share that it did not have, or its lease has not ended when that of a dead member would have. Its silence shows nothing then for DOUBTED
seconds: a connection that breaks again and again would move shares each time.

A controller whose own lease has ended was away itself, for example frozen. Streams come back to it one after the other, and those that it
does not hear yet live as far as etcd says. It would take shares from them with the generations that they have just granted to it.
"""

from collections.abc import Collection

DOUBTED = 60.0  # seconds in which the silence of a member that lived in spite of it is no sign of its death


class SilentMembers:
    """`silent`: members whose streams have ended. `heard`: controllers whose streams are open."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.heard: set[str] = set()
        self._waited: set[str] = set()  # silent members that are gone only when their lease ends
        self._since: dict[str, float] = {}  # since when members count as gone, and etcd is reached
        # Members that lived in spite of their silence, and until when that counts.
        self._doubted: dict[str, float] = {}

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

    def lost(self, names: Collection[str], members: Collection[str], now: float = 0.0) -> bool:
        """Note that streams of controllers have ended; whether a member is newly silent. `members`: the other members. `now`: seconds,
        monotonic."""
        self.heard.difference_update(names)
        fresh = set(names) & set(members) - self.silent
        self.silent |= fresh
        if not self.heard and (self._waited or len(self.silent) > 1):
            self._waited |= fresh
        self._waited |= {name for name in fresh if now < self._doubted.get(name, now)}
        return bool(fresh)

    def lives(self, name: str, now: float) -> bool:
        """Note that etcd shows that a controller lives, however silent it is; whether it counted as gone before."""
        was_gone = name in self.gone
        if was_gone:
            self._waited.add(name)
            self._doubted[name] = now + DOUBTED
        return was_gone

    def look(self, reached: bool, outlived: float, now: float) -> bool:
        """Whether a member counts as gone no longer, since etcd says that it lives after more than `outlived` seconds, the longest that a
        dead one's lease lasts. `reached`: whether etcd answers now. `now`: seconds, monotonic."""
        self._since = {name: self._since.get(name, now) for name in self.gone} if reached else {}
        late = [name for name, since in self._since.items() if now >= since + outlived]
        for name in late:
            self.lives(name, now)
        return bool(late)

    def was_away(self) -> None:
        """Note that this controller was away itself: who is silent is gone only when its lease ends."""
        self._waited |= self.silent

    def keep(self, members: Collection[str]) -> None:
        """Forget controllers that are no longer members in etcd."""
        self.silent.intersection_update(members)
        self._waited.intersection_update(members)
        self._doubted = {name: until for name, until in self._doubted.items() if name in members}
