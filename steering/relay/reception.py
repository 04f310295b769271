"""Accepts hosts' connections, decides which are served, dials their servers, and keeps the sessions until they end."""

import contextlib
import errno
import socket
import time
from collections import deque
from functools import partial

from steering.relay.addresses.mapping_log import MappingJournal
from steering.relay.addresses.source_pools import NoSource, SourceBinding, SourcePools
from steering.relay.controller.ledger_entries import LedgerEntries
from steering.relay.controller.session_ledger import SessionLedger
from steering.relay.counters import RelayCounters
from steering.relay.kernel import dscp
from steering.relay.kernel.dscp import CodePoints
from steering.relay.kernel.sockets import endpoints, is_local, prepare_leg, reset_on_close
from steering.relay.kernel.syn_code_points import SynCodePoints
from steering.relay.log import Log
from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, ExplicitProtocol, RelayHealth, ServerLeg
from steering.relay.options.relay_options import RelayOptions
from steering.relay.session.dialler import Dialler, dial_own
from steering.relay.session.explicit_client import ClientConversation, conversation_with
from steering.relay.session.explicit_server import ExplicitTerms, Preface
from steering.relay.session.ident import IdentClient
from steering.relay.session.listeners import Listeners
from steering.relay.session.preface_queue import PrefaceQueue, say_last
from steering.relay.session.relay_session import RelaySession, SessionEnd
from steering.relay.session.server_legs import ServerLegs
from steering.relay.session.uplink_dialler import FAILOVER_S, UplinkDial, UplinkDialler

ACCEPTS_PER_EVENT = 64
REFUSED = "refused"
"""The word for the controller for a connection that never became a session. Sessions end with a SessionEnd."""


class Reception:
    """All connections of a relay. Call `open`, `watch`, `expire` now and then, and `close`. `ledger`: records sessions for the
    controller; None where there is none."""

    def __init__(
        self,
        options: RelayOptions,
        log: Log,
        dial: Dialler,
        poller: Poller,
        counters: RelayCounters,
        sources: SourcePools,
        mapping_log: MappingJournal,
        ledger: SessionLedger | None = None,
    ) -> None:
        self.options = options
        self.log = log
        self.counters = counters
        self.legs = ServerLegs(options.server_leg, options.offering)
        self.ident = IdentClient(poller, options.ident) if options.ident else None
        self.listeners = Listeners(poller)
        self.sessions: dict[
            RelaySession, SourceBinding | None
        ] = {}  # None: dialled from the MCP's own address
        self._dial = dial
        self._poller = poller
        self._sources = sources
        self._mapping_log = mapping_log
        self._entries = LedgerEntries(ledger)
        self._dialling: deque[tuple[float, RelaySession]] = deque()
        self._code_points = CodePoints()
        self._syn_code_points = SynCodePoints(dscp.TABLE, dscp.SYNS4, dscp.SYNS6)
        self._backoff = AcceptBackoff("hosts", counters, log)
        self.uplinks = dial if isinstance(dial, UplinkDialler) else None
        self._ways: dict[
            socket.socket, UplinkDial
        ] = {}  # by the first socket of a dial, until its session begins
        self._hedges: deque[tuple[float, RelaySession]] = (
            deque()
        )  # dials to be helped by another way, and when
        terms = ExplicitTerms(
            self._is_service, options.cookie_secret, options.users, options.server_leg is ServerLeg.MPTCP
        )
        self._prefaces = PrefaceQueue(poller, terms, self._explicit, self._no_preface)

    def open(self) -> None:
        """Open the listeners; connections wait in the kernel's queues. Raises PlatformError or OSError; call `close` also
        after an error."""
        self.listeners.open(self.options)

    def watch(self) -> None:
        """Accept connections from now on."""
        self.listeners.watch(self._on_accept)

    def expire(self, now: float) -> None:
        """End dials, prefaces and ident queries that took too long. Accept again after a pause."""
        while self._dialling:
            deadline, session = self._dialling[0]
            if session.dialling and session.end is None:
                if deadline > now:
                    break
                session.fail(errno.ETIMEDOUT, f"no answer in {self.options.dial_timeout:g} s")
            self._dialling.popleft()
        self._help(now)
        self._prefaces.expire(now)
        if self.ident is not None:
            self.ident.expire(now)
        if self._backoff.ends(now):
            self.watch()

    def _help(self, now: float) -> None:
        """Dial by the next uplink for sessions whose uplinks so far do not answer."""
        if self.uplinks is None:
            return
        while self._hedges and self._hedges[0][0] <= now:
            _, session = self._hedges.popleft()
            if session.connecting and session.try_another():
                self._hedges.append((now + FAILOVER_S, session))
        self.uplinks.expire(now)

    def next_due(self, until: float) -> float:
        """The time at which `expire` is to be called next, at most `until`."""
        return min(until, self._hedges[0][0]) if self._hedges else until

    def close(self) -> int:
        """Stop listening and reset every live session; the number of these sessions."""
        self.listeners.close()
        self._prefaces.close()
        self._syn_code_points.close()
        if self.ident is not None:
            self.ident.close()
        live = len(self.sessions)
        for session in list(self.sessions):
            session.abort(SessionEnd.STOPPED, "relay stopped")
        if self.uplinks is not None:
            self.uplinks.close()
        return live

    @property
    def has_room(self) -> bool:
        """Whether one more session may begin."""
        return len(self.sessions) < self.options.max_sessions

    @property
    def health(self) -> RelayHealth:
        """The relay's health, as it is reported to the controller."""
        if self._backoff.active:
            return RelayHealth.STARVED
        return RelayHealth.UP if self.has_room else RelayHealth.FULL

    # -- accepting --------------------------------------------------------------------------------------------------

    def _drop(self, accepted: socket.socket) -> None:
        self._entries.end(accepted, REFUSED)
        accepted.close()

    def _on_accept(self, sock: socket.socket, _events: int) -> None:
        for _ in range(ACCEPTS_PER_EVENT):
            try:
                accepted, _peer = sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self.counters.accept_failed += 1
                if self._backoff.begins(error, time.monotonic()):
                    self.listeners.leave()
                    return
                continue
            try:
                self._admit(accepted, sock)
            except OSError as error:  # the host was gone before its connection was accepted
                self.counters.accept_failed += 1
                self.log.peer_event("accept failed", reason=error.strerror)
                self._drop(accepted)

    def _admit(self, accepted: socket.socket, came_to: socket.socket) -> None:
        reset_on_close(accepted)
        counters = self.counters
        counters.accepted += 1
        client, server = endpoints(accepted)
        self._entries.begin(accepted, client, server)
        server = self.listeners.server(came_to, server)
        inner = self.options.source.behind_nat64(server.address)
        if inner is not None:
            server = Endpoint(inner, server.port)
        protocol = self.listeners.protocol(came_to)
        held = len(self._prefaces) + (0 if self.ident is None else len(self.ident))
        if len(self.sessions) + held >= self.options.max_sessions:
            counters.refused_limit += 1
            self.log.peer_event("refused", reason="max-sessions", client=client, server=server)
            self._drop(accepted)
            return
        if protocol is None and not self._is_service(server):
            counters.refused_destination += 1
            self.log.peer_event("refused", reason="not a service address", client=client, server=server)
            self._drop(accepted)
            return
        prepare_leg(accepted)
        if self.ident is None:
            self._take(client, server, accepted, protocol)
            return
        told = partial(self._identified, client, server, accepted, protocol)
        self.ident.ask(client, server.port, told, time.monotonic())

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
        self._drop(accepted)

    def _take(
        self, client: Endpoint, server: Endpoint, accepted: socket.socket, protocol: ExplicitProtocol | None
    ) -> None:
        """Serve a host: dial its server, or in explicit mode wait until the host has named it."""
        if protocol is not None:
            self._prefaces.add(protocol, client, accepted, time.monotonic())
            return
        try:
            via = self.options.via
            mark = self.mark(accepted)
            if via:  # the leg leads to an MCP, from the uplink's address of the MCP's family
                leg = self.legs.towards(via.mcp, time.monotonic())
                dialled, binding = self._dial_on(client, via.mcp, leg, mark), None
            else:
                dialled, binding = self._dial_as_told(client, server, mark)
        except OSError as error:
            self._not_dialled(client, server, error)
            self._drop(accepted)
            return
        talk = conversation_with(via, server) if via else None
        self.start(client, server, accepted, dialled, binding, conversation=talk)

    def _dial_as_told(
        self, client: Endpoint, server: Endpoint, mark: int
    ) -> tuple[socket.socket, SourceBinding]:
        """A server leg with the source address of the source mode, and that address. Raises OSError, also NoSource."""
        binding = self._sources.bind(client, server, time.time(), time.monotonic())
        try:
            leg = self.legs.towards(server, time.monotonic())
            dialled = self._dial_on(Endpoint(binding.address, binding.port), server, leg, mark)
        except OSError:
            self._sources.release(binding, time.time(), time.monotonic())
            raise
        if self.options.log_destinations and binding.mapping is not None:
            self._mapping_log.session(binding.mapping, binding.port, str(server), time.time())
        return dialled, binding

    def _dial_on(self, client: Endpoint, server: Endpoint, leg: ServerLeg, mark: int) -> socket.socket:
        """A socket that is connecting. Where there are uplinks, the further ways of its dial are kept for the session. Raises
        OSError."""
        if self.uplinks is None or not self.uplinks.hedges:
            return self._dial(client, server, leg, mark)
        ways = self.uplinks.dial(server, leg, mark)
        self._ways[ways.first] = ways
        return ways.first

    def _not_dialled(self, client: Endpoint, server: Endpoint, error: OSError) -> None:
        if isinstance(error, NoSource):
            self.counters.refuse_source(error.reason)
        else:
            self.counters.dial_failed += 1
        self.log.peer_event("dial failed", client=client, server=server, reason=error.strerror)

    def _is_service(self, server: Endpoint) -> bool:
        """Whether the relay may dial a server: it lies in a service prefix and is not the relay itself."""
        if self.options.prefixes and not self.options.covers(server.address):
            return False
        return not self.options.source.owns(server.address) and not is_local(server.address)

    def _explicit(
        self, client: Endpoint, server: Endpoint, accepted: socket.socket, preface: Preface, early: bytes
    ) -> None:
        """Dial the server that a host has named by its preface (N-5.2.1b)."""
        self.counters.explicit += 1
        binding = None
        try:
            mark = self.mark(accepted)
            if self._sources.gives(server.address):
                dialled, binding = self._dial_as_told(client, server, mark)
            else:
                dialled = dial_own(self.legs.towards(server, time.monotonic()), server, mark=mark)
        except OSError as error:
            self._not_dialled(client, server, error)
            say_last(accepted, preface.failed(error.errno or 0))
            self._entries.end(accepted, SessionEnd.DIAL_FAILED.value)
            self._poller.close_later(accepted)
            return
        self.start(client, server, accepted, dialled, binding, preface, early)

    def _no_preface(self, client: Endpoint, accepted: socket.socket, reason: str) -> None:
        self._entries.end(accepted, REFUSED)
        self.counters.preface_refused += 1
        self.log.peer_event("preface refused", client=client, reason=reason)

    def start(
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
        """Begin a session between a host's connection and a dialled server. The session owns both sockets. The other arguments
        are those of RelaySession."""
        ways = self._ways.pop(dialled, None)
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
            ways,
        )
        self.sessions[session] = binding
        if ways is not None:
            for sock in ways.trials():
                session.rival(sock)
            self._hedges.append((now + FAILOVER_S, session))
        self._dialling.append((now + self.options.dial_timeout, session))
        self.counters.active += 1
        if session.token is None:
            self.counters.fallback += 1
        if self.log.verbose:
            token = None if session.token is None else f"{session.token:08x}"
            self.log.peer_event("session", client=client, server=server, token=token)

    def mark(self, accepted: socket.socket) -> int:
        """The mark of the server leg for a host's connection; 0 where no DSCP is carried over."""
        if self.options.dscp is not None:
            with contextlib.suppress(OSError):  # the host's connection may be gone already
                syn = self._syn_code_points.of(*endpoints(accepted))
                self.counters.syn_dscp_unread += syn is None
                return self._code_points.begin(accepted, syn or 0)
        return 0

    def _on_up(self, session: RelaySession) -> None:
        now = time.monotonic()
        took = now - session.started
        if self.legs.connected(session.server, session.server_leg.sock, took, now):
            self.log.peer_event("slow with MPTCP", server=session.server, seconds=f"{took:.2f}")
        self._entries.answered(session)

    def _on_end(self, session: RelaySession, end: SessionEnd, reason: str) -> None:
        binding = self.sessions.pop(session, None)
        self._entries.end(session.client_leg.sock, end.value)
        if binding is not None:
            self._sources.release(binding, time.time(), time.monotonic())
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
