"""Many rules to one switch: filling it on connect, and changes of the static rules.

Work for a switch is a queue of jobs; a job is a stream of chunks, and the next chunk goes out when a barrier
has confirmed the one before. So the stages of a fill are in order by construction, at most one chunk is under
way to a switch, and the others are served in between.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Literal, TypeVar

from steering.core.counters import Counters
from steering.core.inputs import Confirmed
from steering.core.outputs import FillSwitch, RenewRules, SyncRules
from steering.model.ids import DatapathId
from steering.model.rules import COOKIE_KIND_MASK, EPOCH_MASK, FailoverGroup, MeterBand, Rule, Table
from steering.model.session import Entry
from steering.openflow.encode import (
    barrier_request,
    delete_by_cookie,
    flow_mod,
    group_mod,
    meter_mod,
)
from steering.openflow.line import Line
from steering.openflow.reader import Disconnect
from steering.openflow.templates import entry_add, entry_delete

RULES = 64  # in a chunk: general rules are encoded one field at a time
ENTRIES = 1_000  # in a chunk: session entries come from templates
AT_ONCE = 128  # rules of a change that needs no job of its own
OF_MANY = (Table.ROUTE, Table.LABEL)  # rules here are the same at many switches
MAX_JOBS = 1_024  # behind a switch that confirms nothing
CHUNK_TIMEOUT = 15.0  # seconds

T = TypeVar("T")
Chunk = tuple[bytes, int]  # messages, and how many flow-mods they are


class _Queue:
    """The jobs of one switch. `noted` is not None while a fill is among them: entries changed since."""

    __slots__ = ("deadline", "jobs", "noted", "xid")

    def __init__(self) -> None:
        self.jobs: deque[Iterator[Chunk]] = deque()
        self.noted: set[tuple[object, ...]] | None = None
        self.xid = 0
        self.deadline = 0.0


class Filler:
    """`feed` takes what switches confirmed back to the engine."""

    def __init__(
        self,
        lines: Mapping[DatapathId, Line],
        counters: Counters,
        xids: Iterator[int],
        feed: Callable[[Confirmed], None],
    ) -> None:
        self._lines = lines
        self._counters = counters
        self._xids = xids
        self._feed = feed
        self._queues: dict[DatapathId, _Queue] = {}

    def fill(self, fill: FillSwitch, older: Iterable[int], now: float, groups: Iterable[int] = ()) -> None:
        """Bring a switch to what it should hold; `older`: cookies of static and host rules to delete; `groups`: those
        of ours that it holds, of which the ones that are not wanted go."""
        if fill.dpid not in self._lines:
            return
        queue = self._queues.setdefault(fill.dpid, _Queue())
        queue.noted = set()
        wanted = {group.group for group in fill.groups}
        gone = tuple(FailoverGroup(number, ()) for number in groups if number not in wanted)
        self._add(fill.dpid, _fill(fill, tuple(older), gone, queue), now)

    def sync(self, output: SyncRules, now: float) -> None:
        """Change static and host rules: adds first. Behind a job they wait, as they build on it; what is to be
        confirmed is a job."""
        line = self._lines.get(output.dpid)
        if line is None:
            return
        if (
            not output.confirm
            and output.dpid not in self._queues
            and sum(map(len, (output.add, output.delete, output.meters, output.groups))) <= AT_ONCE
        ):
            for data, count in _sync(output):
                line.write(data)
                self._counters.flow_mods += count
            return
        self._queues.setdefault(output.dpid, _Queue())
        self._add(output.dpid, self._told(output) if output.confirm else _sync(output), now)

    def renew(self, output: RenewRules) -> None:
        """Begin leases again, at once: behind a long job they would end before their turn came. What a job adds or
        deletes of the same rules comes later, and holds."""
        line = self._lines.get(output.dpid)
        if line is not None:
            line.write(_renewal(output.rules))
            self._counters.flow_mods += len(output.rules)

    def _told(self, output: SyncRules) -> Iterator[Chunk]:
        yield from _sync(output)
        self._feed(Confirmed(output.dpid, output.confirm))

    def remove(self, dpid: DatapathId, entries: Sequence[Entry], now: float) -> None:
        """Delete many session entries: in chunks, so that the switch is not drowned and others are served."""
        if dpid in self._lines:
            self._queues.setdefault(dpid, _Queue())
            self._add(dpid, _chunks(entries, entry_delete, ENTRIES), now)

    def _add(self, dpid: DatapathId, job: Iterator[Chunk], now: float) -> None:
        queue = self._queues[dpid]
        if len(queue.jobs) >= MAX_JOBS:
            self._lines[dpid].disconnect(Disconnect.BACKLOG)
            return
        queue.jobs.append(job)
        if len(queue.jobs) == 1:
            self._advance(dpid, queue, now)

    def note(self, entries: Iterable[Entry]) -> None:
        """Entries changed by other ways; a fill under way must not undo that with what it knew before."""
        if not self._queues:
            return
        for entry in entries:
            queue = self._queues.get(entry.dpid)
            if queue is not None and queue.noted is not None:
                queue.noted.add(entry[:7])

    def confirmed(self, dpid: DatapathId, xid: int, now: float) -> None:
        """A barrier reply; of interest when it is the one that a job waits for."""
        queue = self._queues.get(dpid)
        if queue is not None and queue.xid == xid:
            self._advance(dpid, queue, now)

    def _advance(self, dpid: DatapathId, queue: _Queue, now: float) -> None:
        """The next chunk, of the next job when this one is done."""
        line = self._lines[dpid]
        while queue.jobs:
            chunk = next(queue.jobs[0], None)
            if chunk is None:
                queue.jobs.popleft()
                continue
            data, count = chunk
            self._counters.flow_mods += count
            queue.xid = next(self._xids)
            queue.deadline = now + CHUNK_TIMEOUT
            line.write(data + barrier_request(queue.xid))
            return
        del self._queues[dpid]

    def switch_down(self, dpid: DatapathId) -> None:
        self._queues.pop(dpid, None)

    def expire(self, now: float) -> None:
        """A switch that confirms nothing is not filled: it has to connect again."""
        for dpid in [dpid for dpid, queue in self._queues.items() if queue.deadline <= now]:
            line = self._lines.get(dpid)
            if line is not None:
                line.disconnect(Disconnect.BARRIER_TIMEOUT)


@lru_cache(maxsize=256)
def _renewal(rules: tuple[Rule, ...]) -> bytes:
    """Most switches hold the same leases, twice a second."""
    return b"".join(map(flow_mod, rules))


def _fill(
    fill: FillSwitch, older: tuple[int, ...], gone: tuple[FailoverGroup, ...], queue: _Queue
) -> Iterator[Chunk]:
    """The stages of a fill (docs/design/architecture.rst); every chunk ends in a barrier."""

    def current(entries: tuple[Entry, ...]) -> Iterator[Entry]:
        return (entry for entry in entries if queue.noted is None or entry[:7] not in queue.noted)

    if fill.meters:
        yield _meters(fill.meters), 0
    yield from _chunks(fill.groups, _group, RULES)
    yield from _rules(fill.forwarding, "add")
    yield from _chunks(current(fill.entries), entry_add, ENTRIES)
    yield from _rules(fill.admission, "add")
    mask = COOKIE_KIND_MASK | EPOCH_MASK
    if older:
        yield b"".join(delete_by_cookie(cookie, mask) for cookie in older), len(older)
    yield from _chunks(current(fill.stale), entry_delete, ENTRIES)
    # No rule leads to them any more: those that did were of an older epoch.
    yield from _chunks(gone, lambda group: group_mod(group, "delete"), RULES)
    queue.noted = None


def _meters(bands: tuple[MeterBand, ...]) -> bytes:
    """No single command means "so it shall be": where the meter exists the first fails, and that is expected."""
    return b"".join(meter_mod(band, "add") + meter_mod(band, "modify") for band in bands)


def _group(group: FailoverGroup) -> bytes:
    """As with meters."""
    return group_mod(group, "add") + group_mod(group, "modify")


def _sync(output: SyncRules) -> Iterator[Chunk]:
    if output.meters:
        yield _meters(output.meters), 0
    yield from _chunks(output.groups, _group, RULES)
    yield from _rules(output.add, "add")
    yield from _rules(output.delete, "delete_strict")


def _rules(rules: tuple[Rule, ...], command: Literal["add", "delete_strict"]) -> Iterator[Chunk]:
    return _chunks(rules, _added if command == "add" else partial(flow_mod, command="delete_strict"), RULES)


def _added(rule: Rule) -> bytes:
    return _of_many(rule) if rule.table in OF_MANY else flow_mod(rule)


@lru_cache(maxsize=32_768)
def _of_many(rule: Rule) -> bytes:
    """To encode a rule takes four times as long as to find it again."""
    return flow_mod(rule)


def _chunks(items: Iterable[T], encode: Callable[[T], bytes], size: int) -> Iterator[Chunk]:
    parts: list[bytes] = []
    for item in items:
        parts.append(encode(item))
        if len(parts) == size:
            yield b"".join(parts), size
            parts.clear()
    if parts:
        yield b"".join(parts), len(parts)
