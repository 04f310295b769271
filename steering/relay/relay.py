"""The relay itself: listeners, sessions, status and signals in one event loop of one thread."""

import contextlib
import errno
import json
import os
import secrets
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from select import EPOLLIN

from steering.relay.addresses.mapping_log import open_mapping_log
from steering.relay.addresses.source_pools import NoSource, SourceBinding, SourcePools
from steering.relay.controller.agent import Agent
from steering.relay.controller.inbound_ports import InboundPorts
from steering.relay.controller.reports import Reporter
from steering.relay.counters import RelayCounters
from steering.relay.descriptors import reserve_descriptors
from steering.relay.kernel.dscp import CodePoints
from steering.relay.kernel.sockets import endpoints, is_local, prepare_leg, reset_on_close
from steering.relay.log import Log
from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, ExplicitProtocol, PlatformError, ServerLeg
from steering.relay.observe import metrics
from steering.relay.observe.metrics_server import MetricsServer
from steering.relay.observe.status_document import StatusDocument
from steering.relay.observe.status_socket import StatusSocket
from steering.relay.options.relay_options import RelayOptions
from steering.relay.session.dialler import Dialler, dial_own, dialler
from steering.relay.session.explicit_client import ClientConversation, conversation_with
from steering.relay.session.explicit_server import ExplicitTerms, Preface
from steering.relay.session.ident import IdentClient
from steering.relay.session.listeners import Listeners
from steering.relay.session.preface_queue import PrefaceQueue, say_last
from steering.relay.session.relay_session import RelaySession, SessionEnd
from steering.relay.session.server_legs import ServerLegs

ACCEPTS_PER_EVENT = 64
TICK_S = 0.5


class Relay:
    """Opens everything when made (raises PlatformError, leaving nothing open); `run` serves until a signal."""

    def __init__(self, options: RelayOptions, log: Log, dial: Dialler | None = None) -> None:
        self.options = options
        self._dial = dial or dialler(options)
        self._legs = ServerLegs(options.server_leg, options.offering)
        self.log = log
        self.counters = RelayCounters()
        self._poller = Poller()
        self._sessions: dict[RelaySession, SourceBinding | None] = {}  # None: the MCP's own address
        self._dialling: deque[tuple[float, RelaySession]] = deque()
        self._code_points = CodePoints()
        self._backoff = self._backoff_of("hosts")
        self._stop = False
        controller = options.agent or options.inbound
        self._reporter = Reporter(controller, log) if controller is not None else None
        self._mapping_log = open_mapping_log(options, self._reporter.mapping if self._reporter else None)
        self._told_slow = 0  # servers listed when the controller was told last
        self._sources = SourcePools(options.source, secrets.randbelow, self._mapping_log.observer)
        self._log_switch: bool | None = None  # what a signal asked of the mapping log
        reserve_descriptors(options)
        self._listeners = Listeners(self._poller)
        terms = ExplicitTerms(
            self._is_service, options.cookie_secret, options.users, options.server_leg is ServerLeg.MPTCP
        )
        self._prefaces = PrefaceQueue(self._poller, terms, self._explicit, self._no_preface)
        self._ident = IdentClient(self._poller, options.ident) if options.ident else None
        self._status: StatusSocket | None = None
        self._metrics_server: MetricsServer | None = None
        self._agent: Agent | None = None
        self._inbound: InboundPorts | None = None
        try:
            self._listeners.open(options)
            if options.status is not None:
                self._status = StatusSocket(options.status, self._document, self._backoff_of("status"))
            if options.metrics is not None:
                self._metrics_server = MetricsServer(
                    options.metrics, self._metrics, self._backoff_of("metrics")
                )
            if options.agent is not None:
                self._agent = Agent(options.agent, log, options.mss_clamp)
            if options.inbound is not None:
                pause = self._backoff_of("bindings")
                self._inbound = InboundPorts(
                    options.inbound, self._poller, self._has_room, self._start, log, pause
                )
        except (PlatformError, OSError):
            self._close_listeners()
            raise

    def _backoff_of(self, listener: str) -> AcceptBackoff:
        return AcceptBackoff(listener, self.counters, self.log)

    def run(self, prepare: Callable[[], None] = lambda: None) -> None:
        """Serve until SIGTERM, SIGINT or SIGHUP; then reset every live session and return.

        SIGUSR1 and SIGUSR2 switch the mapping log on and off (N-5.6.7b).

        `prepare` is called once the signals are caught: what it installs, its caller can take away after `run`.
        """
        wake, waker = socket.socketpair()
        with wake, waker:
            for end in (wake, waker):
                end.setblocking(False)
            old_fd = signal.set_wakeup_fd(waker.fileno())
            signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
            old = [signal.signal(number, self._on_signal) for number in signals]
            self._poller.add(wake.fileno(), EPOLLIN, lambda _events: None)
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
        self._listeners.watch(self._on_accept)
        if self._status is not None:
            self._status.watch(self._poller)
        if self._metrics_server is not None:
            self._metrics_server.watch(self._poller)
        self.log.event(
            "ready",
            pid=os.getpid(),
            role=self.options.role.value,
            ports=",".join(str(port) for port in self._listeners.ports()),
            source_mode=str(self.options.source),
            server_leg=self.options.server_leg.value,
        )
        next_tick = time.monotonic() + TICK_S
        while not self._stop:
            self._poller.turn(max(0.0, next_tick - time.monotonic()))
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + TICK_S
                self._tick(now)

    def _tick(self, now: float) -> None:
        if self._log_switch is not None:
            wanted, self._log_switch = self._log_switch, None
            self._mapping_log.switch(wanted, self._sources.mappings())
            self.log.event("mapping log", enabled=wanted)
        while self._dialling:
            deadline, session = self._dialling[0]
            if session.dialling and session.end is None:
                if deadline > now:
                    break
                session.fail(errno.ETIMEDOUT, f"no answer in {self.options.dial_timeout:g} s")
            self._dialling.popleft()
        self._prefaces.expire(now)
        if self._inbound is not None:
            self._inbound.expire(now)
        if self._ident is not None:
            self._ident.expire(now)
        if self._backoff.ends(now):
            self._listeners.watch(self._on_accept)
        if self._status is not None:
            self._status.expire(self._poller, now)
        if self._metrics_server is not None:
            self._metrics_server.expire(self._poller, now)
        if self._reporter is not None and self._legs.listed != self._told_slow:
            self._told_slow = self._legs.listed
            self._reporter.slow_servers(self._legs.slow.left(now), time.time())
        self._poller.close_pending()

    def close(self) -> None:
        """Reset every live session, stop listening; sessions that had ended in order are the kernel's to finish."""
        self._close_listeners()
        self._prefaces.close()
        if self._ident is not None:
            self._ident.close()
        live = len(self._sessions)
        for session in list(self._sessions):
            session.abort(SessionEnd.STOPPED, "relay stopped")
        self._poller.close_pending()
        self._mapping_log.close(self._sources.mappings(), time.time())
        if self._reporter is not None:
            self._reporter.stop()
        self.log.event("stopped", reset_sessions=live)

    def _close_listeners(self) -> None:
        self._listeners.close()
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

    # -- accepting --------------------------------------------------------------------------------------------------

    def _on_accept(self, sock: socket.socket, _events: int) -> None:
        for _ in range(ACCEPTS_PER_EVENT):
            try:
                accepted, _peer = sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self.counters.accept_failed += 1
                if self._backoff.begins(error, time.monotonic()):
                    self._listeners.leave()
                    return
                continue
            try:
                self._admit(accepted, sock)
            except OSError as error:  # the host was gone before we looked
                self.counters.accept_failed += 1
                self.log.peer_event("accept failed", reason=error.strerror)
                accepted.close()

    def _admit(self, accepted: socket.socket, came_to: socket.socket) -> None:
        reset_on_close(accepted)
        counters = self.counters
        counters.accepted += 1
        client, server = endpoints(accepted)
        server = self._listeners.server(came_to, server)
        inner = self.options.source.behind_nat64(server.address)
        if inner is not None:
            server = Endpoint(inner, server.port)
        protocol = self._listeners.protocol(came_to)
        held = len(self._prefaces) + (0 if self._ident is None else len(self._ident))
        if len(self._sessions) + held >= self.options.max_sessions:
            counters.refused_limit += 1
            self.log.peer_event("refused", reason="max-sessions", client=client, server=server)
            accepted.close()
            return
        if protocol is None and not self._is_service(server):
            counters.refused_destination += 1
            self.log.peer_event("refused", reason="not a service address", client=client, server=server)
            accepted.close()
            return
        prepare_leg(accepted)
        if self._ident is None:
            self._take(client, server, accepted, protocol)
            return
        told = partial(self._identified, client, server, accepted, protocol)
        self._ident.ask(client, server.port, told, time.monotonic())

    def _identified(
        self,
        client: Endpoint,
        server: Endpoint,
        accepted: socket.socket,
        protocol: ExplicitProtocol | None,
        may: bool,
    ) -> None:
        if may:
            self._take(client, server, accepted, protocol)
            return
        self.counters.refused_ident += 1
        self.log.peer_event("refused", reason="ident", client=client, server=server)
        accepted.close()

    def _take(
        self, client: Endpoint, server: Endpoint, accepted: socket.socket, protocol: ExplicitProtocol | None
    ) -> None:
        """A host that may be served: its server is dialled, or it says first which."""
        if protocol is not None:
            self._prefaces.add(protocol, client, accepted, time.monotonic())
            return
        try:
            via = self.options.via
            if via:  # an uplink's own address, of the MCP's family, whatever the host's
                leg = self._legs.towards(via.mcp.address, time.monotonic())
                dialled, binding = self._dial(client, via.mcp, leg), None
            else:
                dialled, binding = self._dial_as_told(client, server)
        except OSError as error:
            self._not_dialled(client, server, error)
            accepted.close()
            return
        talk = conversation_with(via, server) if via else None
        self._start(client, server, accepted, dialled, binding, conversation=talk)

    def _dial_as_told(self, client: Endpoint, server: Endpoint) -> tuple[socket.socket, SourceBinding]:
        """The server leg from where the source mode says. Raises OSError, NoSource among them."""
        binding = self._sources.bind(client, server, time.time())
        try:
            leg = self._legs.towards(server.address, time.monotonic())
            dialled = self._dial(Endpoint(binding.address, binding.port), server, leg)
        except OSError:
            self._sources.release(binding, time.time())
            raise
        if self.options.log_destinations and binding.mapping is not None:
            self._mapping_log.session(binding.mapping, binding.port, str(server), time.time())
        return dialled, binding

    def _not_dialled(self, client: Endpoint, server: Endpoint, error: OSError) -> None:
        if isinstance(error, NoSource):
            self.counters.refuse_source(error.reason)
        else:
            self.counters.dial_failed += 1
        self.log.peer_event("dial failed", client=client, server=server, reason=error.strerror)

    def _is_service(self, server: Endpoint) -> bool:
        """The relay never dials itself, and only what it was put in front of."""
        if self.options.prefixes and not self.options.covers(server.address):
            return False
        return not self.options.source.owns(server.address) and not is_local(server.address)

    def _explicit(
        self, client: Endpoint, server: Endpoint, accepted: socket.socket, preface: Preface, early: bytes
    ) -> None:
        """A host said where to (N-5.2.1b)."""
        self.counters.explicit += 1
        binding = None
        try:
            if self._sources.gives(server.address):
                dialled, binding = self._dial_as_told(client, server)
            else:
                dialled = dial_own(self._legs.towards(server.address, time.monotonic()), server)
        except OSError as error:
            self._not_dialled(client, server, error)
            say_last(accepted, preface.failed(error.errno or 0))
            self._poller.close_later(accepted)
            return
        self._start(client, server, accepted, dialled, binding, preface, early)

    def _no_preface(self, client: Endpoint, reason: str) -> None:
        self.counters.preface_refused += 1
        self.log.peer_event("preface refused", client=client, reason=reason)

    def _has_room(self) -> bool:
        return len(self._sessions) < self.options.max_sessions

    def _start(
        self,
        client: Endpoint,
        server: Endpoint,
        accepted: socket.socket,
        dialled: socket.socket,
        binding: SourceBinding | None = None,
        preface: Preface | None = None,
        early: bytes = b"",
        conversation: ClientConversation | None = None,
    ) -> None:
        if self.options.dscp is not None:
            with contextlib.suppress(OSError):  # a leg that is gone already carries nothing over
                self._code_points.put(accepted, dialled)
        now = time.monotonic()
        session = RelaySession(
            self._poller,
            client,
            server,
            accepted,
            dialled,
            now,
            self._on_end,
            preface,
            early,
            self._on_up,
            conversation,
        )
        self._sessions[session] = binding
        self._dialling.append((now + self.options.dial_timeout, session))
        self.counters.active += 1
        if session.token is None:
            self.counters.fallback += 1
        if self.log.verbose:
            token = None if session.token is None else f"{session.token:08x}"
            self.log.peer_event("session", client=client, server=server, token=token)

    def _on_up(self, session: RelaySession) -> None:
        now = time.monotonic()
        took = now - session.started
        if self._legs.connected(session.server.address, session.server_leg.sock, took, now):
            self.log.peer_event("slow with MPTCP", server=session.server, seconds=f"{took:.2f}")

    def _on_end(self, session: RelaySession, end: SessionEnd, reason: str) -> None:
        binding = self._sessions.pop(session, None)
        if binding is not None:
            self._sources.release(binding, time.time())
        counters = self.counters
        counters.active -= 1
        counters.bytes_up += session.client_leg.received
        counters.bytes_down += session.server_leg.received
        if end is SessionEnd.ORDERLY:
            counters.ended_orderly += 1
        elif end is SessionEnd.DIAL_FAILED:
            counters.dial_failed += 1
            self.log.peer_event("dial failed", client=session.client, server=session.server, reason=reason)
        else:
            counters.ended_reset += 1
        if self.log.verbose and end is not SessionEnd.DIAL_FAILED:
            self.log.peer_event(
                "session ended",
                client=session.client,
                server=session.server,
                how=end.value,
                reason=reason or None,
            )

    # -- status -----------------------------------------------------------------------------------------------------

    def _status_document(self) -> StatusDocument:
        return StatusDocument(
            self.options, self.counters, self._sessions, self._sources, self._mapping_log, self._legs, self._ident,
            self._agent, self._inbound, self._reporter,
        )  # fmt: skip

    def _document(self, now: float) -> bytes:
        return json.dumps(self._status_document().document(now)).encode()

    def _metrics(self) -> str:
        return metrics.text(self._status_document().counted())
