"""How long announcements take over a link, beside how long they took before.

Somebody who carries frames between two ports that were one link (a wormhole) has to send them a longer way, and so has
the traffic. A trip is by the controller: to the switch that sends, over the link, and back from the switch that hears. A busy
controller or switch makes single trips longer, never shorter, so the least of some in a row is what counts.
"""

from collections import Counter, deque

from steering.model.ids import DatapathId

ROUNDS = 8  # trips in a row: some 7 s
MULTIPLE = 3.0  # of the least that is known of the link ...
MORE = 0.003  # ... and so many seconds on top, below which a busy machine makes any difference
RELEARN = 600.0  # seconds after which a link that got longer is taken as it is
FEW = 6  # directions of links: of more than these not most become longer at once, or it is the controller that is slow
FEW_OF_A_SWITCH = 2  # and of more than these, from or to one switch, not all, or it is its connection that is


class LinkTrips:
    """The trips over one direction of a link. Bounded: the last ones, and the least of all before."""

    __slots__ = ("_last", "_since", "usual")

    def __init__(self) -> None:
        self.usual: float | None = None  # seconds; None while too few are known
        self._last: deque[float] = deque(maxlen=ROUNDS)
        self._since: float | None = None  # when they became much longer

    @property
    def least(self) -> float:
        """Seconds: the least of the last ones."""
        return min(self._last)

    @property
    def is_outlier(self) -> bool:
        """Whether each of the last trips took a multiple of what they took before."""
        return self._since is not None

    def add(self, trip: float, now: float) -> None:
        """An announcement took so many seconds."""
        self._last.append(trip)
        if len(self._last) < ROUNDS:
            return
        least = self.least
        if self.usual is None:
            self.usual = least
        elif least <= MULTIPLE * self.usual + MORE:
            self.usual = min(self.usual, least)
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= RELEARN:
            self.usual, self._since = least, None


class Outliers:
    """How many directions of links there are, and how many of them are outliers: of all, of those that leave a switch, and of
    those that come in at one. Bounded by the switches."""

    __slots__ = ("_links", "_outliers")

    def __init__(self) -> None:
        self._links: Counter[str | tuple[str, DatapathId]] = Counter()
        self._outliers: Counter[str | tuple[str, DatapathId]] = Counter()

    def count(self, near: DatapathId, far: DatapathId, links: int, outliers: int) -> None:
        """So many more, or less, from one switch to another."""
        for group in ("all", ("from", near), ("to", far)):
            self._links[group] += links
            self._outliers[group] += outliers

    def excuse(self, near: DatapathId, far: DatapathId) -> bool:
        """Whether an outlier from one switch to another is one of so many that what takes longer is no link: the controller, or
        one switch's connection to it."""
        if self._links["all"] > FEW and 2 * self._outliers["all"] > self._links["all"]:
            return True
        return any(
            self._outliers[group] == self._links[group] > FEW_OF_A_SWITCH
            for group in (("from", near), ("to", far))
        )
