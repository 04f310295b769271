"""Sends the engine's outputs to switches, in the order that correctness needs (docs/design/measured.rst, Order).

A held segment may go on only when the entries that it needs are in force. At its own switch it is enough to write
entries and segment in one piece. The entries of other switches are sent first, and each of these switches gets one
barrier at the end of the batch. After the last confirmation, entries and segment are sent to the segment's own switch.
No function here waits: a bounded table holds the unconfirmed steers, by switch and transaction id.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from steering.core.counters import Counters
from steering.core.inputs import ChannelProved, Input
from steering.core.outputs import (
    Authorise,
    FillSwitch,
    ForgetReading,
    GoOn,
    Output,
    Prefer,
    ProveChannel,
    ReadCounters,
    ReadEntries,
    Release,
    RemoveEntries,
    RenewRules,
    SendFrame,
    Steer,
    SweepEntries,
    SyncRules,
)
from steering.core.peer_facts import TellPeer
from steering.model.ids import DatapathId
from steering.model.session import Entry, Refusal
from steering.openflow.line import Line
from steering.openflow.messages.encode import barrier_request
from steering.openflow.messages.packetout import packet_out
from steering.openflow.messages.reader import Disconnect
from steering.openflow.messages.templates import entry_add, entry_delete, release
from steering.openflow.polls.entry_counters import EntryCounters
from steering.openflow.switch_tables.groupdesc import HeldGroups
from steering.openflow.switch_tables.readback import Readback
from steering.openflow.switch_tables.switch_filler import ENTRIES, Filler

LIMIT = 4_096  # most steers that wait for barriers
BARRIER_TIMEOUT = 1.0  # seconds; a host repeats its SYN after one second
# Seconds in which a switch has to answer a barrier that proves its connection. A switch that is silent altogether is
# disconnected earlier.
PROOF_TIMEOUT = 20.0


class PendingSteer:
    """A steer that not all of its other switches have confirmed."""

    __slots__ = ("ended", "held", "local", "missing")

    def __init__(self, held: Release, local: bytes, missing: int) -> None:
        self.held = held  # the segment, at its switch
        self.local = local  # entries and packet-out for that switch
        self.missing = missing  # how many switches have not confirmed
        self.ended = False


class Sender:
    """Writes to `lines` (datapath id -> connected switch). `feed` takes inputs for the engine, `tell` takes messages
    for MCPs, and `go_on` is called when the engine has more to do."""

    def __init__(
        self,
        lines: Mapping[DatapathId, Line],
        counters: Counters,
        feed: Callable[[Input], None],
        tell: Callable[[Prefer], None] = lambda prefer: None,
        go_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._lines = self._own = lines
        self.tell_peer: Callable[[TellPeer], None] = lambda told: None
        # Called with each segment that waited for other switches, and whether they confirmed. None without traces.
        self.let_go: Callable[[Release, bool], None] | None = None
        self._feed = feed
        self._tell = tell
        self._go_on = go_on
        self._counters = counters
        # Steers whose barriers go out at the end of the batch, by the switches that have to confirm.
        self._waiting: dict[DatapathId, list[PendingSteer]] = {}
        self._barriers: dict[tuple[DatapathId, int], list[PendingSteer]] = {}
        self._deadlines: deque[tuple[float, tuple[DatapathId, int]]] = deque()
        # Switch -> transaction id and sending time of the barrier that proves that its connection works.
        self._proofs: dict[DatapathId, tuple[int, float]] = {}
        self._steers = 0
        self.authorise: Callable[[Authorise], None] = lambda question: (
            None
        )  # without an answer, authorisation is denied
        self.xids = _xids()
        self.filler = Filler(lines, counters, self.xids, feed)
        self.readback = Readback(lines, self.xids, feed)
        self.entry_counters = EntryCounters(lines, self.xids, feed)
        self.groups = HeldGroups(lines, self.xids)

    def reach(self, lines: Mapping[DatapathId, Line], tell: Callable[[TellPeer], None]) -> None:
        """Send session entries and frames to switches of other controllers too from now on. `lines` has all switches
        that can be reached. All other outputs still go to own switches only."""
        self._lines, self.tell_peer = lines, tell

    # ---- outputs -------------------------------------------------------------------------------

    def execute(self, outputs: list[Output], now: float) -> None:
        """Write the outputs of the engine. They are sent when the channels are flushed."""
        for output in outputs:
            if type(output) is Steer:
                self._steer(output)
            elif type(output) is Release:
                self._to(output.dpid, release(output))
            elif type(output) is SendFrame:
                self._to(output.dpid, packet_out(output.port, output.frame))
            elif type(output) is RemoveEntries:
                self._remove(output, now)
            elif type(output) is SyncRules:
                self.filler.sync(output, now)
            elif type(output) is RenewRules:
                self.filler.renew(output)
            elif type(output) is FillSwitch:
                older = self.readback.older_than(output.dpid, output.epoch)
                held = self.readback.held(output.dpid)
                self.filler.fill(output, older, now, self.groups.take(output.dpid), held)
            elif type(output) is ReadEntries:
                self.groups.ask(
                    output.dpid
                )  # before the entries: the filling begins when the entries are there
                self.readback.ask(output, now)
            elif type(output) is ForgetReading:
                self.readback.forget(output.dpid)
            elif type(output) is SweepEntries:
                self.readback.sweep(output, now)
            elif type(output) is ReadCounters:
                self.entry_counters.ask(output, now)
            elif type(output) is ProveChannel:
                self._prove(output.dpid, now)
            elif type(output) is Authorise:
                self.authorise(output)
            elif type(output) is Prefer:
                self._tell(output)
            elif type(output) is GoOn:
                self._go_on()
            elif type(output) is TellPeer:
                self.tell_peer(output)

    def _to(self, dpid: DatapathId, data: bytes) -> None:
        line = self._lines.get(dpid)
        if line is not None:
            line.write(data)

    def _steer(self, steer: Steer) -> None:
        entries, held = steer
        if held is None:
            for entry in entries:
                line = self._lines.get(entry[0])
                if line is not None:
                    line.write(entry_add(entry))
            self._note(entries)
            return
        home, local = held[0], b""
        others: dict[DatapathId, bytes] = {}
        for entry in entries:
            dpid = entry[0]
            if dpid == home:
                local += entry_add(entry)
            else:
                others[dpid] = others.get(dpid, b"") + entry_add(entry)
        local += release(held)
        if not others:
            self._to(home, local)
            self._note(entries)
            return
        # Without the entries at other switches, the answer to the segment would miss the MCP. The host will send it
        # again.
        if self._steers >= LIMIT or not others.keys() <= self._lines.keys():
            self._drop(held)
            return
        self._note(entries)
        waiter = PendingSteer(held, local, len(others))
        self._steers += 1
        for dpid, messages in others.items():
            self._lines[dpid].write(messages)
            known = self._waiting.get(dpid)
            if known is None:
                self._waiting[dpid] = [waiter]
            else:
                known.append(waiter)

    def _remove(self, output: RemoveEntries, now: float) -> None:
        self.filler.note(output.entries)
        by_switch: dict[DatapathId, list[Entry]] = {}
        for entry in output.entries:
            by_switch.setdefault(entry.dpid, []).append(entry)
        for dpid, entries in by_switch.items():
            if len(entries) > ENTRIES and dpid in self._own:
                self.filler.remove(dpid, entries, now)
            else:
                self._to(dpid, b"".join(map(entry_delete, entries)))
                self._counters.flow_mods += len(entries)

    def _note(self, entries: tuple[Entry, ...]) -> None:
        self._counters.flow_mods += len(entries)
        if self.filler.queues:
            self.filler.note(entries)

    # ---- barriers ------------------------------------------------------------------------------

    def _prove(self, dpid: DatapathId, now: float) -> None:
        """Send a barrier that proves that the switch's connection works. Only one is open at a switch: more would only
        queue up in a silent connection."""
        line = self._own.get(dpid)
        if line is not None and dpid not in self._proofs:
            xid = next(self.xids)
            self._proofs[dpid] = (xid, now)
            line.write(barrier_request(xid))

    def _proved(self, dpid: DatapathId, xid: int, now: float) -> bool:
        """Whether barrier `xid` was sent to prove the connection. A late answer proves nothing: the messages before the
        barrier were late too."""
        open_, asked_at = self._proofs.get(dpid, (-1, 0.0))
        if open_ != xid:
            return False
        del self._proofs[dpid]
        if now - asked_at <= BARRIER_TIMEOUT:
            self._feed(ChannelProved(dpid, asked_at))
        return True

    def end_batch(self, now: float) -> None:
        """Send one barrier to each switch that has to confirm something of this batch."""
        if not self._waiting:
            return
        for dpid, waiters in self._waiting.items():
            line = self._lines.get(dpid)
            if line is None:
                self._fail(waiters)
                continue
            key = (dpid, next(self.xids))
            self._barriers[key] = waiters
            self._deadlines.append((now + BARRIER_TIMEOUT, key))
            line.write(barrier_request(key[1]))
        self._waiting = {}

    def barrier_reply(self, dpid: DatapathId, xid: int, now: float) -> None:
        """A switch has confirmed a barrier. Send the steers that waited only for this confirmation."""
        waiters = self._barriers.pop((dpid, xid), None)
        if waiters is None:
            if not self._proved(dpid, xid, now):
                self.filler.confirmed(dpid, xid, now)
            return
        for waiter in waiters:
            waiter.missing -= 1
            if not waiter.missing and not waiter.ended:
                waiter.ended = True
                self._steers -= 1
                self._to(waiter.held.dpid, waiter.local)
                if self.let_go is not None:
                    self.let_go(waiter.held, True)

    def _fail(self, waiters: list[PendingSteer]) -> None:
        for waiter in waiters:
            if not waiter.ended:
                waiter.ended = True
                self._steers -= 1
                self._drop(waiter.held)

    def _drop(self, held: Release) -> None:
        """Drop a held segment, as entries that it needs are not confirmed."""
        self._counters.refusals[Refusal.BARRIER_TIMEOUT] += 1
        if self.let_go is not None:
            self.let_go(held, False)

    def switch_down(self, dpid: DatapathId) -> None:
        """A switch is gone, or another controller decides there. No steer waits for the switch any more, and no held
        segment is sent on there."""
        self._fail(self._waiting.pop(dpid, []))
        self._proofs.pop(dpid, None)
        for key in [key for key in self._barriers if key[0] == dpid]:
            self._fail(self._barriers.pop(key))
        # Another controller may decide about a segment held there now, and its session is forgotten here.
        for waiters in (*self._waiting.values(), *self._barriers.values()):
            self._fail([waiter for waiter in waiters if waiter.held.dpid == dpid])
        self.filler.switch_down(dpid)
        self.readback.switch_down(dpid)
        self.entry_counters.switch_down(dpid)
        self.groups.switch_down(dpid)

    def expire(self, now: float) -> None:
        """Drop steers that were not confirmed in time."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, key = self._deadlines.popleft()
            self._fail(self._barriers.pop(key, []))
        for dpid, (_, asked_at) in list(self._proofs.items()):
            if asked_at + PROOF_TIMEOUT <= now:
                del self._proofs[dpid]
                self._own[dpid].disconnect(Disconnect.BARRIER_TIMEOUT)
        self.filler.expire(now)
        self.readback.expire(now)
        self.entry_counters.expire(now)

    @property
    def pending(self) -> int:
        """How many steers wait for barriers."""
        return self._steers


def _xids() -> Iterator[int]:
    """Transaction ids from the upper half of the range, to tell our replies from those of os-ken, which counts from a
    random number."""
    xid = 0x8000_0000
    while True:
        yield xid
        xid = xid + 1 if xid < 0xFFFF_FFFF else 0x8000_0000
