"""Carries out in this MCP's kernel the controller's intents for live subflows (D-6.3e, D-1.m2, N-5.6.1n).

The agent has a thread apart from the relay's loop: relaying goes on whatever the controller or the path manager does. While
the controller is away the last intents stay in force. A controller that is back sends all intents anew.
"""

import time
from typing import Any

from steering.relay.controller.event_stream import SILENCE_S, EventStream, StreamError
from steering.relay.controller.hostile_json import RefusalCounts, counted
from steering.relay.controller.subflow_intents import SubflowIntent, SubflowIntents, parse
from steering.relay.controller.subflow_shares import SubflowShares, run_tool
from steering.relay.kernel import mss
from steering.relay.kernel.commands import RuleError
from steering.relay.kernel.path_manager import KernelSubflow, PathManager, PathManagerError
from steering.relay.kernel.readable import readable
from steering.relay.kernel.side_thread import SideThread
from steering.relay.log import Log
from steering.relay.model import ControllerAccess

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 5.0
LOOK_S = 0.1  # seconds between two attempts to carry out an intent whose subflow is not there yet


class Agent:
    """A thread that carries out the controller's intents: call `start`, then `stop`. The constructor raises PathManagerError
    where this kernel has no path manager for user space."""

    def __init__(self, options: ControllerAccess, log: Log, mss_clamp: int | None = None) -> None:
        self._options = options
        self._log = log
        self._kernel = PathManager()
        self._wishes = SubflowIntents(self._apply)
        self._shares = SubflowShares(run_tool, self._turn)
        self._mss_clamp = mss_clamp  # the clamp while the policy wants fragments avoided
        self.avoids_fragments: bool | None = None  # None: never told
        self._connected = False
        self.connections = 0
        self.refused = 0  # entries of events that are no intents
        self.refused_events = RefusalCounts()
        self.priorities = 0  # MP_PRIO sent
        self.ended = 0  # subflows closed
        self.unshared = 0  # times nft refused what shares need
        self._thread = SideThread("agent", self._run, log)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread, also if it never began, and take the shares away."""
        self._thread.end()
        try:
            self._shares.stop()
        except RuleError as error:
            self._log.event("shares not taken away", reason=str(error))
        self._kernel.close()

    def document(self) -> dict[str, Any]:
        """The agent's part of the relay's status."""
        return {
            "connected": self._connected,
            "connections": self.connections,
            "in_force": len(self._wishes),
            "waiting": self._wishes.waiting,
            "given_up": self._wishes.given_up,
            "refused": self.refused,
            "refused_events": counted(self.refused_events),
            "avoids_fragments": self.avoids_fragments,
            "priorities": self.priorities,
            "ended": self.ended,
            "shared": len(self._shares),
            "turns": self._shares.turns,
            "unshared": self.unshared,
            "faults": self._thread.faults,
        }

    def _run(self) -> None:
        wait = FIRST_WAIT_S
        while not self._thread.is_ending:
            try:
                with self._thread.waiting():
                    stream = EventStream(self._options, self.refused_events)
            except StreamError as error:
                self._log.peer_event("controller not reached", reason=str(error))
                self._listen(None, time.monotonic() + wait)
                wait = min(2 * wait, LONGEST_WAIT_S)
                continue
            self._connected, wait = True, FIRST_WAIT_S
            self.connections += 1
            self._log.event("controller reached", url=self._options.url)
            try:
                self._listen(stream, None)
            except StreamError as error:
                self._log.peer_event("controller lost", reason=str(error))
            finally:
                self._connected = False
                stream.close()
            self._listen(None, time.monotonic() + FIRST_WAIT_S)

    def _listen(self, stream: EventStream | None, until: float | None) -> None:
        """Read what the controller and the kernel send, until the time `until` or until `stop`. Raises StreamError."""
        watched = [self._thread.woken, self._kernel.events] + ([stream] if stream else [])
        heard = time.monotonic()
        while not self._thread.is_ending:
            now = time.monotonic()
            if until is not None and now >= until:
                return
            if stream is not None and now - heard > SILENCE_S:
                raise StreamError(f"not a word in {SILENCE_S:.0f} s")
            limit = LOOK_S if self._wishes.waiting or len(self._shares) else 1.0
            ready = readable(watched, limit if until is None else min(limit, until - now))
            now = time.monotonic()
            if self._kernel.events in ready:
                self._kernel.drain()
            if stream is not None and stream in ready:
                heard = now
                for kind, data in stream.events():
                    if kind == "subflows":
                        self._take(data, now)
                    elif kind == "policy":
                        self._heed(data)
            self._wishes.try_again(now)
            self._share(now)

    def _turn(self, subflow: KernelSubflow, waits: bool) -> None:
        """Have a subflow that shares a session's traffic carry or wait now. A subflow that the controller made a backup
        stays one."""
        self._kernel.priority(subflow, waits or self._wishes.in_force(subflow).backup)

    def _share(self, now: float) -> None:
        try:
            self._shares.tick(self._wishes.shares(), now)
        except RuleError as error:
            self.unshared += 1
            self._log.peer_event("shares not kept", reason=str(error))

    def _take(self, data: dict[str, Any], now: float) -> None:
        if data.get("all") is True:
            self._wishes.begin(now)
        told = data.get("subflows")
        for intent in told if isinstance(told, list) else []:
            try:
                subflow, wish = parse(intent)
            except ValueError:
                self.refused += 1
                continue
            self._wishes.want(subflow, wish, now)

    def _heed(self, data: dict[str, Any]) -> None:
        """Follow the policy's setting for all MCPs: whether to avoid fragments (D-6.7.5b)."""
        avoid = data.get("avoid_fragmentation")
        if not isinstance(avoid, bool) or avoid is self.avoids_fragments:
            return
        if mss.switch(self._mss_clamp if avoid else None):
            self.avoids_fragments = avoid
            self._log.event("segment size", clamped=avoid)

    def _apply(self, subflow: KernelSubflow, before: SubflowIntent, wish: SubflowIntent) -> None:
        """Change a subflow in the kernel from one intent to another. Raises PathManagerError, also where there is no such
        subflow."""
        if not wish.allowed:
            self._kernel.end(subflow)
            self.ended += 1
        elif wish.backup != before.backup:
            self._kernel.priority(subflow, wish.backup)
            self.priorities += 1


__all__ = ["Agent", "ControllerAccess", "PathManagerError"]
