"""How much time, memory and messages one connection to the switch listener may use.

The process has one thread: while it serves one connection, all other switches wait. Each bound here holds for one
connection, or for all connections of one kind together. A connection that exceeds a bound is refused or ended with a
reason of `reader.Disconnect`.
"""

from ipaddress import ip_address
from math import inf
from typing import Generic, NamedTuple, Protocol, TypeVar

from steering.openflow.messages.reader import Disconnect

T = TypeVar("T")


class Budgets(NamedTuple):
    """The bounds in force. Seconds, bytes, or messages; rates are a second."""

    turn: float = 0.004  # most seconds of work in a row for one switch, before others get their turn
    step: float = (
        0.001  # a turn ends after a step of so many seconds in which another connection became readable
    )
    seldom_rate: float = (
        1_000.0  # echo requests and port changes; above this rate the connection is read with rests
    )
    seldom_burst: float = 8_192.0
    rest: float = 0.02  # seconds of one rest, in which the connection is not read
    foyer: bool = True  # of the connections that are no switch yet, one works at a time, for one turn
    unasked_rate: float = 20.0  # messages that answer no request and are not expected
    unasked_burst: float = 256.0
    port_change_rate: float = 200.0  # changes of ports that are handled one by one
    port_change_burst: float = (
        1_024.0  # port changes beyond the burst are merged: each port's last state counts
    )
    handshake_messages: int = 16_384  # most messages of a connection before it is a switch
    handshake_bytes: int = 4 << 20
    backlog: int = 8 << 20  # most bytes that one switch leaves unread
    backlog_total: int = 128 << 20  # most bytes that all switches together leave unread
    newcomers: int = 1_024  # most connections that are no switch yet
    newcomers_of_source: int = 256  # most newcomers from one IPv4 address or IPv6 /64
    accept_rate: float = 500.0  # most accepted connections a second
    accept_burst: float = 256.0


UNBOUNDED = Budgets(
    turn=inf,
    step=inf,
    seldom_rate=inf,
    seldom_burst=inf,
    foyer=False,
    unasked_rate=inf,
    unasked_burst=inf,
    port_change_rate=inf,
    port_change_burst=inf,
    handshake_messages=1 << 62,
    handshake_bytes=1 << 62,
    newcomers=1 << 30,
    newcomers_of_source=1 << 30,
    accept_rate=inf,
    accept_burst=inf,
)
"""For tests that show what happens without bounds: only bounds on memory are left, which no test reaches."""


def source_of(host: str) -> str:
    """The source under which a peer's address is counted: an IPv4 address, or an IPv6 /64, because one host can use
    all addresses of a /64."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return address.packed[:8].hex()


class Newcomers(Generic[T]):
    """Connections that have not shown yet which switch they are, by source and age.

    A handshake takes milliseconds. So the oldest newcomer is the least likely to be a sound switch. When there is no
    room, the oldest newcomer is ended: of the same source where that source has too many, else of the source with the
    most newcomers.
    """

    def __init__(self, total: int, of_source: int) -> None:
        self._total = total
        self._of_source = of_source
        self._sources: dict[str, dict[T, None]] = {}
        self._all: dict[T, str] = {}

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, one: T, source: str) -> T | None:
        """Add a new connection. Returns the newcomer that has to be ended to make room, already removed here; None
        where there is room."""
        own = self._sources.get(source, {})
        if len(own) >= self._of_source:
            goes = next(iter(own))
        elif len(self._all) >= self._total:
            goes = next(iter(self._sources[max(self._sources, key=lambda known: len(self._sources[known]))]))
        else:
            goes = None
        if goes is not None:
            self.leave(goes)
        self._sources.setdefault(source, {})[one] = None
        self._all[one] = source
        return goes

    def leave(self, one: T) -> None:
        """Remove a connection, because it is a switch now, or has ended."""
        source = self._all.pop(one, None)
        if source is not None:
            own = self._sources[source]
            del own[one]
            if not own:
                del self._sources[source]


class Debtor(Protocol):
    """A connection with bytes that its peer does not read."""

    @property
    def unread(self) -> int: ...

    def disconnect(self, reason: Disconnect) -> None: ...


class UnreadBytes:
    """Bytes that peers do not read, summed over all connections. When there are too many, the connection with the
    most unread bytes is ended."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._owed: dict[Debtor, int] = {}
        self._total = 0

    def changed(self, debtor: Debtor) -> None:
        """Note that `debtor` has more unread bytes than before, or fewer."""
        owed = debtor.unread
        self._total += owed - self._owed.pop(debtor, 0)
        if owed:
            self._owed[debtor] = owed
        while self._total > self._limit and self._owed:
            worst = max(self._owed, key=self._owed.__getitem__)
            self._total -= self._owed.pop(worst)
            worst.disconnect(Disconnect.BACKLOG)
