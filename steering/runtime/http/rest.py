"""The northbound on eventlet's WSGI server, with bounds. Its URL stands in the state directory."""

import logging
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import eventlet
from prometheus_client import CollectorRegistry

from steering.core.counters import Counters
from steering.core.outputs import Prefer
from steering.model.cluster import ClusterControl, ClusterPeers, PeerReply, PeerRequest
from steering.model.control import Control
from steering.model.mechanism import Mechanism
from steering.model.standing_work import StandingWork
from steering.northbound.auth.keyring import TokenFile
from steering.northbound.composition import Northbound, northbound
from steering.northbound.http.pages import Pages
from steering.northbound.resources.watcher import PERIOD
from steering.northbound.schema.view import View
from steering.openflow.app import UNEXPECTED
from steering.openflow.connection.listener import listening
from steering.openflow.connection.tls import ChangedFiles
from steering.openflow.discovery.link_discovery import Rejection
from steering.openflow.dispatch import NOT_OURS
from steering.openflow.messages.errors import MessageFault
from steering.openflow.messages.reader import Disconnect
from steering.runtime.http.background import Background
from steering.runtime.http.page_files import page_files
from steering.runtime.http.rest_server import RestServer, WsgiApplication
from steering.runtime.http.standby_guard import StandbyGuard
from steering.runtime.settings import ListenAddress, Settings, SettingsError, TlsFiles
from steering.store.credentials import bearer_token, pseudonym_key, remove_rest_url, write_rest_url
from steering.store.interface import StateError, Store
from steering.store.mappings import MappingStore
from steering.store.state_directory import StateDirectory
from steering.wire.errors import WireRefusal as WireRefusal

# Label values that are shown from zero on.
MALFORMED: tuple[str, ...] = (*WireRefusal, *Rejection, NOT_OURS, UNEXPECTED, *MessageFault)
DISCONNECTS: tuple[str, ...] = tuple(Disconnect)

SAVED = 10  # looks, after which orders about subscribers are on disk

log = logging.getLogger(__name__)


def check_free(endpoint: ListenAddress, what: str) -> None:
    """Raises SettingsError when `endpoint` cannot be listened on.

    os-ken binds with SO_REUSEPORT, so a second controller would not fail but silently get a share of the
    switches. A socket without that option does fail.
    """
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((endpoint.host, endpoint.port))
            # Two sockets may be bound to one address; only one of them may listen.
            probe.listen(1)
        except OSError as error:
            raise SettingsError(f"{what}: cannot listen on {endpoint}: {error.strerror}") from None


class RestTls:
    """TLS of the REST server. A certificate and its key that are replaced count for the next client; another CA of clients
    counts from the next start on. Raises SettingsError."""

    def __init__(self, tls: TlsFiles) -> None:
        self._tls = tls
        self._files = ChangedFiles(tls.cert, tls.key)
        self._context = _context(tls)

    def over(self, sock: Any) -> Any:
        """TLS over a listening socket; a client's handshake happens where it is served, so nobody waits for it.

        Not by eventlet.wrap_ssl: that takes `cert_reqs` for options of the context (eventlet 0.41), so no client
        would be asked for a certificate.
        """
        return self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)

    def look(self) -> None:
        """Take over files that have changed. Files that do not fit each other, such as a certificate whose key is still to
        come, change nothing."""
        if not self._files.have_changed():
            return
        try:
            _context(self._tls)  # apart at first: what fails would leave the context half changed
            self._context.load_cert_chain(self._tls.cert, self._tls.key)
        except (SettingsError, OSError) as error:  # ssl.SSLError is an OSError
            log.error("changed files: %s", error)
        else:
            log.info("the files of --rest-cert and --rest-key have changed, and are in use")


def _context(tls: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.cert, tls.key)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        raise SettingsError(f"--rest-cert, --rest-key, --rest-client-ca: cannot be used: {why}") from None
    return context


def _reached_at(host: str) -> str:
    """Where this machine itself reaches who listens on an address: nobody can connect to "all addresses"."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


class Rest:
    """The REST server. It listens from the beginning, and serves from `start` on."""

    def __init__(
        self,
        settings: Settings,
        view: View,
        control: Control,
        counters: Counters,
        now: Callable[[], float],
        cluster: ClusterControl | None = None,
        shared: Store | None = None,
        peers: ClusterPeers | None = None,
    ) -> None:
        """`shared`: where several controllers keep what they are told; None: in the state directory. `peers`: the other
        controllers, whose answers are part of this one's."""
        self._peers = peers
        self._cluster = cluster
        self._store = shared or StateDirectory(settings.state_dir)
        keyring = TokenFile(settings.state_dir, bearer_token(settings.state_dir))
        self._counters, self._secured = counters, settings.rest_tls is not None
        try:
            self._socket = listening(settings.rest.host, settings.rest.port)
        except OSError as error:
            raise SettingsError(f"--rest: cannot listen on {settings.rest}: {error.strerror}") from None
        self._state_dir = settings.state_dir
        scheme = "http" if settings.rest_tls is None else "https"
        self.url = f"{scheme}://{ListenAddress(settings.rest.host, self._socket.getsockname()[1])}"
        own = ListenAddress(_reached_at(settings.rest.host), self._socket.getsockname()[1])
        self._own_url = f"{scheme}://{own}"  # for commands on this machine
        self._tls = None if settings.rest_tls is None else RestTls(settings.rest_tls)
        if self._tls is not None:
            self._socket = self._tls.over(self._socket)
        try:
            self._north = self._northbound(
                settings, view, control, counters, keyring, now, cluster, self._store, peers
            )
        except StateError as error:
            raise SettingsError(f"--state-dir: {error}") from None
        self._application: WsgiApplication = self._north.application
        if settings.page:
            self._application = Pages(self._application, page_files(), self._north.observe)
        self._threads: list[Any] = []

    @staticmethod
    def _northbound(
        settings: Settings,
        view: View,
        control: Control,
        counters: Counters,
        keyring: TokenFile,
        now: Callable[[], float],
        cluster: ClusterControl | None,
        store: Store,
        peers: ClusterPeers | None,
    ) -> Northbound:
        cluster_events: tuple[str, ...] = ()
        if cluster is not None:
            # Late: one controller alone has no use for it.
            from steering.runtime.cluster.cluster_events import CLUSTER_EVENTS

            cluster_events = CLUSTER_EVENTS
        return northbound(
            view,
            control,
            counters,
            CollectorRegistry(),
            keyring,
            now,
            epoch=secrets.token_hex(4),
            pseudonyms=b"" if Mechanism.REDACTION in settings.disabled else pseudonym_key(settings.state_dir),
            store=store,
            mappings=MappingStore(settings.state_dir, time.time),
            malformed=MALFORMED,
            disconnects=DISCONNECTS,
            cluster_events=cluster_events,
            work=Background(),
            pause=partial(eventlet.sleep, 0),
            cluster=cluster,
            peers=peers,
            wall=time.time,
        )

    def for_peer(self, controller: str, request: PeerRequest) -> PeerReply:
        """What this controller itself answers to a request that another one passes on."""
        return self._north.application.for_peer(controller, request)

    def start(self) -> None:
        """Begin to serve, and write the URL to the state directory."""
        for restore in self._north.restore:
            restore()
        try:
            write_rest_url(self._state_dir, self._own_url)
        except StateError as error:
            # REST is served all the same: a client with --url and --token-file finds it.
            log.error("commands on this machine do not find the controller: %s", error)
        application = self._application
        if self._cluster is not None:
            application = StandbyGuard(application, self._cluster, self._peers is not None)
        server = RestServer(self._socket, application, self._counters, self._secured)
        door = (StandingWork.REST_DOOR, eventlet.sleep, server.run)
        self._threads = [eventlet.spawn(self._counters.work_faults.keep, *door), eventlet.spawn(self._watch)]
        if self._peers is not None:
            self._threads.append(eventlet.spawn(self._gather))

    def tell(self, prefer: Prefer) -> None:
        """Publish to an MCP what is wanted of its subflows."""
        self._north.intents.tell(prefer)

    def _watch(self) -> None:
        for looks in count():
            eventlet.sleep(PERIOD)
            north = self._north
            saves = (north.save,) if looks % SAVED == 0 else ()
            files = () if self._tls is None else (self._tls.look,)
            for look in (north.bindings.look, north.alarms.look, north.watcher.look, *saves, *files):
                with self._counters.work_faults.turn(StandingWork.TELLING_EVENTS):
                    look()

    def _gather(self) -> None:
        """Waits for other controllers, and so is no part of `_watch`."""
        while True:
            eventlet.sleep(PERIOD)
            with self._counters.work_faults.turn(StandingWork.GATHERING_EVENTS):
                self._north.gather()

    def stop(self) -> None:
        """Remove the URL and stop listening."""
        remove_rest_url(self._state_dir, self._own_url)
        self._north.hub.close()
        self._north.save()
        for thread in self._threads:
            thread.kill()
        self._socket.close()
