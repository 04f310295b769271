"""The northbound on eventlet's WSGI server, bounded, and its URL in the state directory."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import eventlet
import eventlet.wsgi
from prometheus_client import CollectorRegistry

from steering.core.counters import Counters
from steering.core.discovery import Rejection
from steering.model.view import View
from steering.northbound import application
from steering.northbound.credentials import bearer_token, remove_rest_url, write_rest_url
from steering.openflow.app import UNEXPECTED
from steering.openflow.dispatch import NOT_OURS
from steering.openflow.errors import Malformed
from steering.openflow.reader import Disconnect
from steering.runtime.settings import Endpoint, Settings, SettingsError
from steering.wire.errors import Refusal as WireRefusal

MAX_CLIENTS = 64
CLIENT_TIMEOUT = 10.0  # seconds without a byte
MAX_TARGET = 4_096  # bytes of a request line

log = logging.getLogger(__name__)


def check_free(endpoint: Endpoint, what: str) -> None:
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


class Rest:
    """Listens from the beginning, serves from `start` on."""

    def __init__(self, settings: Settings, view: View, counters: Counters, now: Callable[[], float]) -> None:
        token = bearer_token(settings.state_dir)
        family = socket.AF_INET6 if ":" in settings.rest.host else socket.AF_INET
        try:
            self._socket = eventlet.listen(
                (settings.rest.host, settings.rest.port), family=family, reuse_port=False
            )
        except OSError as error:
            raise SettingsError(f"--rest: cannot listen on {settings.rest}: {error.strerror}") from None
        self._state_dir = settings.state_dir
        self.url = f"http://{Endpoint(settings.rest.host, self._socket.getsockname()[1])}"
        self._application = application(
            view,
            counters,
            CollectorRegistry(),
            token,
            now,
            malformed=[*WireRefusal, *Rejection, NOT_OURS, UNEXPECTED, *Malformed],
            disconnects=list(Disconnect),
        )
        self._server: Any = None

    def start(self) -> None:
        """Serve, and say where."""
        write_rest_url(self._state_dir, self.url)
        self._server = eventlet.spawn(
            eventlet.wsgi.server,
            self._socket,
            self._application,
            log=logging.getLogger("steering.rest"),
            log_output=False,
            debug=False,
            max_size=MAX_CLIENTS,
            socket_timeout=CLIENT_TIMEOUT,
            url_length_limit=MAX_TARGET,
        )

    def stop(self) -> None:
        """Take the URL back and stop listening."""
        remove_rest_url(self._state_dir, self.url)
        if self._server is not None:
            self._server.kill()
        self._socket.close()
