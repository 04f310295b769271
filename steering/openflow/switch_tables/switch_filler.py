"""Sends many rules to a switch: all of them when it connects, and later changes of the static rules.

The work for a switch is a queue of jobs. A job is a stream of chunks, and a chunk is sent when a barrier has
confirmed the chunk before it. So the stages of a fill are always in order, at most one chunk is under way to a
switch, and other switches are served in between.
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
from steering.openflow.line import Line
from steering.openflow.messages.encode import (
    barrier_request,
    delete_by_cookie,
    flow_mod,
    group_mod,
    meter_mod,
)
from steering.openflow.messages.reader import Disconnect
from steering.openflow.messages.templates import entry_add, entry_delete
from steering.openflow.switch_tables.held_rules import HeldRules

RULES = 64  # most rules of a chunk: general rules are encoded field by field
ENTRIES = 1_000  # most session entries of a chunk: they are encoded by templates
AT_ONCE = 128  # most rules of a change that is sent without a job
OF_MANY = (Table.ROUTE, Table.LABEL)  # tables whose rules are the same at many switches
MAX_JOBS = 1_024  # most jobs that wait for a switch
CHUNK_TIMEOUT = 15.0  # seconds

T = TypeVar("T")
Chunk = tuple[bytes, int]  # the messages of a chunk, and the number of flow-mods in them


class _Queue:
    """The jobs of one switch. `noted`: entries that were changed since a fill was queued; None while no fill waits."""

    __slots__ = ("deadline", "jobs", "noted", "xid")

    def __init__(self) -> None:
        self.jobs: deque[Iterator[Chunk]] = deque()
        self.noted: set[tuple[object, ...]] | None = None
        self.xid = 0
        self.deadline = 0.0


class Filler:
    """Fills switches. `feed` gives the confirmations of switches to the engine."""

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
        self.queues: dict[DatapathId, _Queue] = {}  # of the switches that have jobs
        # The rules that were renewed last, and their messages: the next switch mostly gets the same rules.
        self._renewed: tuple[tuple[Rule, ...], bytes] = ((), b"")

    def fill(
        self,
        fill: FillSwitch,
        older: Iterable[int],
        now: float,
        groups: Iterable[int] = (),
        held: HeldRules | None = None,
    ) -> None:
        """Bring a switch's tables to the state in `fill`. `older`: cookies of static and host rules to delete. `groups`:
        this project's groups at the switch; those that are not wanted are deleted. `held`: the rules at the switch; the
        right ones stay as they are."""
        if fill.dpid not in self._lines:
            return
        queue = self.queues.setdefault(fill.dpid, _Queue())
        queue.noted = set()
        wanted = {group.group for group in fill.groups}
        gone = tuple(FailoverGroup(number, ()) for number in groups if number not in wanted)
        rest: tuple[bytes, ...] = ()
        if held is not None:
            fill = fill._replace(
                forwarding=held.missing(fill.forwarding), admission=held.missing(fill.admission)
            )
            rest = tuple(held.rest())
        self._add(fill.dpid, _fill(fill, tuple(older), gone, queue, rest), now)

    def sync(self, output: SyncRules, now: float) -> None:
        """Change static and host rules, adds first. A change waits for earlier jobs, because it builds on them. A change
        that has to be confirmed is always a job."""
        line = self._lines.get(output.dpid)
        if line is None:
            return
        if (
            not output.confirm
            and output.dpid not in self.queues
            and sum(map(len, (output.add, output.delete, output.meters, output.groups))) <= AT_ONCE
        ):
            for data, count in _sync(output):
                line.write(data)
                self._counters.flow_mods += count
            return
        self.queues.setdefault(output.dpid, _Queue())
        self._add(output.dpid, self._told(output) if output.confirm else _sync(output), now)

    def renew(self, output: RenewRules) -> None:
        """Renew leases at once, before all jobs: behind a long job the leases would end. A job that adds or deletes the
        same rules is carried out later, and so has the last word."""
        line = self._lines.get(output.dpid)
        if line is not None:
            if output.rules is not self._renewed[0]:
                self._renewed = (output.rules, _renewal(output.rules))
            line.write(self._renewed[1])
            self._counters.flow_mods += len(output.rules)

    def _told(self, output: SyncRules) -> Iterator[Chunk]:
        yield from _sync(output)
        self._feed(Confirmed(output.dpid, output.confirm))

    def remove(self, dpid: DatapathId, entries: Sequence[Entry], now: float) -> None:
        """Delete many session entries in chunks, so that the switch is not overloaded and others are served."""
        if dpid in self._lines:
            self.queues.setdefault(dpid, _Queue())
            self._add(dpid, _chunks(entries, entry_delete, ENTRIES), now)

    def _add(self, dpid: DatapathId, job: Iterator[Chunk], now: float) -> None:
        queue = self.queues[dpid]
        if len(queue.jobs) >= MAX_JOBS:
            self._lines[dpid].disconnect(Disconnect.BACKLOG)
            return
        queue.jobs.append(job)
        if len(queue.jobs) == 1:
            self._advance(dpid, queue, now)

    def note(self, entries: Iterable[Entry]) -> None:
        """Note entries that were changed outside of jobs. A fill that is under way must not undo these changes."""
        for entry in entries:
            queue = self.queues.get(entry.dpid)
            if queue is not None and queue.noted is not None:
                queue.noted.add(entry[:7])

    def confirmed(self, dpid: DatapathId, xid: int, now: float) -> None:
        """Take a barrier reply. If a job waits for this reply, the job goes on."""
        queue = self.queues.get(dpid)
        if queue is not None and queue.xid == xid:
            self._advance(dpid, queue, now)

    def _advance(self, dpid: DatapathId, queue: _Queue, now: float) -> None:
        """Send the next chunk of the current job, or of the next job where the current one is done."""
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
        del self.queues[dpid]

    def switch_down(self, dpid: DatapathId) -> None:
        self.queues.pop(dpid, None)

    def expire(self, now: float) -> None:
        """Disconnect switches that do not confirm in time. Such a switch connects again and is filled anew."""
        for dpid in [dpid for dpid, queue in self.queues.items() if queue.deadline <= now]:
            line = self._lines.get(dpid)
            if line is not None:
                line.disconnect(Disconnect.BARRIER_TIMEOUT)


@lru_cache(maxsize=256)
def _renewal(rules: tuple[Rule, ...]) -> bytes:
    """The messages that renew leases. The result is cached, as most switches get the same messages twice a second."""
    return b"".join(map(flow_mod, rules))


def _fill(
    fill: FillSwitch,
    older: tuple[int, ...],
    gone: tuple[FailoverGroup, ...],
    queue: _Queue,
    rest: tuple[bytes, ...] = (),
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
    yield from _chunks(rest, lambda data: data, RULES)
    yield from _chunks(current(fill.stale), entry_delete, ENTRIES)
    # No rule uses these groups any more: the rules that did had an older epoch, and are deleted above.
    yield from _chunks(gone, lambda group: group_mod(group, "delete"), RULES)
    queue.noted = None


def _meters(bands: tuple[MeterBand, ...]) -> bytes:
    """The messages that set meters. OpenFlow has no command "add or modify". So each meter is added and then modified.
    The first command fails where the meter exists, which is expected."""
    return b"".join(meter_mod(band, "add") + meter_mod(band, "modify") for band in bands)


def _group(group: FailoverGroup) -> bytes:
    """The messages that set a group: add, then modify, as `_meters`."""
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
    """The message that adds a rule. The result is cached: encoding takes four times as long as looking it up."""
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
