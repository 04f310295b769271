"""The relay itself: listeners, sessions, status and signals in one event loop of one thread."""

import contextlib
import json
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable
from select import EPOLLIN

from steering.relay.addresses.mapping_log import open_mapping_log
from steering.relay.addresses.source_pools import SourcePools
from steering.relay.controller.agent import Agent
from steering.relay.controller.inbound_ports import InboundPorts
from steering.relay.controller.reports import Reporter, state_of
from steering.relay.counters import RelayCounters
from steering.relay.descriptors import reserve_descriptors
from steering.relay.log import Log
from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import PlatformError, RelayHealth
from steering.relay.observe import metrics
from steering.relay.observe.metrics_server import MetricsServer
from steering.relay.observe.status_document import StatusDocument
from steering.relay.observe.status_socket import StatusSocket
from steering.relay.options.relay_options import RelayOptions
from steering.relay.reception import Reception
from steering.relay.service_manager import ServiceManager
from steering.relay.session.dialler import Dialler, dialler

ACCEPTS_PER_EVENT = 64
TICK_S = 0.5


class Relay:
    """A relay. The constructor opens everything; it raises PlatformError or OSError and then leaves nothing open. `run` serves
    until a signal."""

    def __init__(self, options: RelayOptions, log: Log, dial: Dialler | None = None) -> None:
        self.options = options
        self.log = log
        self.counters = RelayCounters()
        self._poller = Poller()
        self._service = ServiceManager()
        self._stop = False
        controller = options.agent or options.inbound
        self._reporter = Reporter(controller, log, secrets.token_hex(8)) if controller is not None else None
        self._mapping_log = open_mapping_log(options, self._reporter.mapping if self._reporter else None)
        self._told_slow = 0  # slow servers that had been listed at the last report
        self._sources = SourcePools(options.source, secrets.randbelow, self._mapping_log.observer)
        self._log_switch: bool | None = None  # a signal's order to switch the mapping log on or off
        reserve_descriptors(options)
        self._reception = Reception(
            options, log, dial or dialler(options), self._poller, self.counters, self._sources,
            self._mapping_log, self._reporter.ledger if self._reporter else None,
        )  # fmt: skip
        self._status: StatusSocket | None = None
        self._metrics_server: MetricsServer | None = None
        self._agent: Agent | None = None
        self._inbound: InboundPorts | None = None
        try:
            self._reception.open()
            if options.status is not None:
                self._status = StatusSocket(options.status, self._document, self._backoff_of("status"))
            if options.metrics is not None:
                self._metrics_server = MetricsServer(
                    options.metrics, self._metrics, self._backoff_of("metrics")
                )
            if options.agent is not None:
                self._agent = Agent(options.agent, log, options.mss_clamp)
            if options.inbound is not None:
                self._inbound = InboundPorts(
                    options.inbound, self._poller, lambda: self._reception.has_room, self._reception.start,
                    log, self._backoff_of("bindings"), self._reception.mark,
                )  # fmt: skip
        except (PlatformError, OSError):
            self._close_listeners()
            raise
        self._tell_state(time.monotonic())

    def _backoff_of(self, listener: str) -> AcceptBackoff:
        return AcceptBackoff(listener, self.counters, self.log)

    def run(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP. Then reset every live session and return.

        SIGUSR1 and SIGUSR2 switch the mapping log on and off (N-5.6.7b).

        `prepare` is called when the signals are caught already. So the caller can always remove after `run` what `prepare`
        has installed.
        """
        wake, waker = socket.socketpair()
        with wake, waker:
            for end in (wake, waker):
                end.setblocking(False)
            old_fd = signal.set_wakeup_fd(waker.fileno())
            signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
            old = [signal.signal(number, self._on_signal) for number in signals]
            self._poller.add(wake.fileno(), EPOLLIN, lambda _events: _drain(wake))
            try:
                prepare()
                self._serve()
            finally:
                self.close()
                signal.set_wakeup_fd(old_fd)
                for number, handler in zip(signals, old, strict=True):
                    signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        if number in (signal.SIGUSR1, signal.SIGUSR2):
            self._log_switch = number == signal.SIGUSR1
        else:
            self._stop = True

    def _serve(self) -> None:
        for part in (self._agent, self._inbound, self._reporter):
            if part is not None:
                part.start()
        self._reception.watch()
        if self._status is not None:
            self._status.readers.watch(self._poller)
        if self._metrics_server is not None:
            self._metrics_server.readers.watch(self._poller)
        self.log.event(
            "ready",
            pid=os.getpid(),
            role=self.options.role.value,
            ports=",".join(str(port) for port in self._reception.listeners.ports()),
            source_mode=str(self.options.source),
            server_leg=self.options.server_leg.value,
        )
        self._service.ready()
        next_tick = time.monotonic() + TICK_S
        while not self._stop:
            due = self._reception.next_due(next_tick)
            self._poller.turn(max(0.0, due - time.monotonic()))
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK_S
                self._tick(now)
            elif now >= due:
                self._reception.expire(now)

    def _tick(self, now: float) -> None:
        if self._log_switch is not None:
            wanted, self._log_switch = self._log_switch, None
            self._mapping_log.switch(wanted, self._sources.mappings())
            self.log.event("mapping log", enabled=wanted)
        self._reception.expire(now)
        if self._inbound is not None:
            self._inbound.expire(now)
        if self._status is not None:
            self._status.readers.expire(self._poller, now)
        if self._metrics_server is not None:
            self._metrics_server.readers.expire(self._poller, now)
        self._tell_state(now)
        self._poller.close_pending()
        self._service.beat(now)

    def _tell_state(self, now: float) -> None:
        """Give the reporter the relay's load, health and slow servers."""
        if self._reporter is None:
            return
        legs = self._reception.legs
        if legs.listed != self._told_slow:
            self._told_slow = legs.listed
            self._reporter.slow_servers(legs.slow.left(now), time.time())
        health = RelayHealth.STOPPING if self._stop else self._reception.health
        self._reporter.state(state_of(health, self.counters, self.options.max_sessions))

    def close(self) -> None:
        """Stop listening and reset every live session. The kernel finishes the connections of sessions that ended in order."""
        self._service.ends()
        live = self._reception.close()
        self._poller.close_pending()  # hosts and servers do not wait for threads
        self._close_listeners()
        self._poller.close_pending()
        self._mapping_log.close(self._sources.mappings(), time.time())
        if self._reporter is not None:
            self._stop = True
            self._tell_state(time.monotonic())
            self._reporter.stop()
        self.log.event("stopped", reset_sessions=live)

    def _close_listeners(self) -> None:
        self._reception.listeners.close()
        if self._status is not None:
            self._poller.remove(self._status.sock.fileno())
            self._status.close()
            self._status = None
        if self._metrics_server is not None:
            self._metrics_server.close(self._poller)
            self._metrics_server = None
        for part in (self._agent, self._inbound):
            if part is not None:
                part.stop()
        self._agent = self._inbound = None

    # -- status -----------------------------------------------------------------------------------------------------

    def _status_document(self) -> StatusDocument:
        return StatusDocument(
            self.options, self.counters, self._reception.sessions, self._sources, self._mapping_log,
            self._reception.legs, self._reception.ident, self._agent, self._inbound, self._reporter,
            self._reception.uplinks,
        )  # fmt: skip

    def _document(self, now: float) -> bytes:
        return json.dumps(self._status_document().document(now)).encode()

    def _metrics(self) -> str:
        return metrics.text(self._status_document().counted())


def _drain(wake: socket.socket) -> None:
    """Read what signals wrote, or the loop would never rest again: some of them do not end it."""
    with contextlib.suppress(BlockingIOError):
        wake.recv(4_096)
