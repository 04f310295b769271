"""Compares how long announcements take over a link with how long they took before.

An attacker who carries frames between the two ports of a link (a wormhole) has to send them a longer way. A trip is
measured at the controller: from the controller to the sending switch, over the link, and from the receiving switch back
to the controller. A busy controller or switch makes single trips longer, never shorter. So the shortest of ROUNDS trips
in a row counts.
"""

from collections import Counter, deque

from steering.model.ids import DatapathId

ROUNDS = 8  # trips that are compared: about 7 s
MULTIPLE = 3.0  # a link is an outlier when its trips take this multiple of its shortest trip ...
MORE = 0.003  # ... and so many seconds more: smaller differences come from a busy machine
RELEARN = 600.0  # seconds after which the longer time of a link counts as its usual one
FEW = 6  # where most of more than FEW directions of links are outliers at once, the controller is slow, not the links
FEW_OF_A_SWITCH = 2  # where all of more than these from or to one switch are, the switch's connection is slow


class LinkTrips:
    """The trips over one direction of a link. Keeps only the last ROUNDS trips, and the shortest of those before."""

    __slots__ = ("_last", "_since", "usual")

    def __init__(self) -> None:
        self.usual: float | None = None  # seconds; None while too few trips are known
        self._last: deque[float] = deque(maxlen=ROUNDS)
        self._since: float | None = None  # when the trips became much longer

    @property
    def least(self) -> float:
        """Seconds of the shortest of the last trips."""
        return min(self._last)

    @property
    def is_outlier(self) -> bool:
        """Whether each of the last trips took much longer than the usual trip (MULTIPLE, MORE)."""
        return self._since is not None

    def add(self, trip: float, now: float) -> None:
        """Add a trip of `trip` seconds."""
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
    """Counts the directions of links, and the outliers among them: in all, for each switch that sends, and for each
    switch that receives. The size is bounded by the number of switches with a link that is not lost."""

    __slots__ = ("_links", "_outliers")

    def __init__(self) -> None:
        self._links: Counter[str | tuple[str, DatapathId]] = Counter()
        self._outliers: Counter[str | tuple[str, DatapathId]] = Counter()

    def count(self, near: DatapathId, far: DatapathId, links: int, outliers: int) -> None:
        """Add `links` directions with `outliers` outliers from switch `near` to switch `far`; negative numbers remove."""
        for group in ("all", ("from", near), ("to", far)):
            for counts, more in ((self._links, links), (self._outliers, outliers)):
                counts[group] += more
                if not counts[group]:
                    del counts[group]

    def excuse(self, near: DatapathId, far: DatapathId) -> bool:
        """Whether so many directions are outliers together with this one that no link is the cause, but the
        controller, or one switch's connection to the controller."""
        if self._links["all"] > FEW and 2 * self._outliers["all"] > self._links["all"]:
            return True
        return any(
            self._outliers[group] == self._links[group] > FEW_OF_A_SWITCH
            for group in (("from", near), ("to", far))
        )
