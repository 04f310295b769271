"""The client: finds a controller, sends the requests of `Operations`, and follows the controller's events."""

import argparse
import json
import socket
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import Any

from steering.cli import client
from steering.cli.commands.events import ReceivedEvent, events
from steering.client.operations import Operations

YAML_BODY = {"Content-Type": "application/yaml"}
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0  # seconds before a lost stream of events is opened again


_AGREED_ON = {
    ("PUT", "policy"),
    ("POST", "policy/rollback"),
    ("POST", "mcps"),
    ("PUT", "mcps/"),
    ("DELETE", "mcps/"),
}


def is_agreed_on(method: str, path: Sequence[str]) -> bool:
    """Whether all controllers of a cell agree on a request before it is answered, or the request waits for such a one."""
    is_of_one = path[0] == "mcps" and len(path) == 2
    return (method, "mcps/" if is_of_one else "/".join(path)) in _AGREED_ON


class WantedEvents:
    """The events that a caller wants, the id of the last one seen, and the wait before a lost stream is opened again. The
    arguments are those of SteeringClient.events. Raises BadInput for `mcp` with `since`."""

    def __init__(
        self,
        mcp: str | None,
        kinds: Collection[str],
        after: str | None,
        again: bool,
        controller: str | None,
        since: str | None,
    ) -> None:
        if mcp is not None and since is not None:
            raise client.BadInput(
                "since is of the controller's own events; those of an MCP begin with how things stand"
            )
        self.path = ["events"] if mcp is None else ["mcps", mcp, "events"]
        self.controller, self.since = controller, since
        self._kinds = kinds
        self._after = after
        self._again = again
        self._wait = FIRST_WAIT

    @property
    def headers(self) -> dict[str, str]:
        return {} if self._after is None else {"Last-Event-ID": self._after}

    def takes(self, event: ReceivedEvent) -> bool:
        """Note an event as seen; whether its kind is wanted."""
        self._after, self._wait = event.id or self._after, FIRST_WAIT
        return not self._kinds or event.kind in self._kinds

    def lost(self, error: client.Unavailable) -> None:
        """Raises the error that ended a stream, where no second attempt is wanted or none can help."""
        if not self._again or isinstance(error, client.NotFound | client.NotAllowed):
            raise error

    def next_wait(self) -> float:
        """Seconds until the stream is to be opened again; the wait doubles from call to call."""
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST_WAIT)
        return wait


class SteeringClient(Operations):
    """A controller. Each request opens a connection of its own, so threads may share one client.

    Methods raise Unavailable where the controller cannot be reached or refuses, NotAllowed where it refuses the token (401,
    403), NotFound (404), Rejected (422), Outdated (412), and BadInput for arguments that cannot be sent.
    """

    def __init__(
        self, connection: client.ControllerClient, agreed_timeout: float = client.AGREED_TIMEOUT
    ) -> None:
        self._connection = connection
        self._agreed_timeout = agreed_timeout

    @classmethod
    def at(
        cls,
        url: str | None = None,
        *,
        token_file: str | None = None,
        state_dir: str | None = None,
        ca_file: str | None = None,
        client_cert: str | None = None,
        timeout: float | None = None,
    ) -> "SteeringClient":
        """The controller at `url`. Without a URL it is found by the environment or the state directory, as the commands do.
        `timeout`: seconds without a byte. None: 10, and 150 for requests on which all controllers of a cell agree first (a
        policy, an MCP's description)."""
        where = argparse.Namespace(
            url=url, token_file=token_file, state_dir=state_dir, ca_file=ca_file, client_cert=client_cert
        )
        if timeout is None:
            return cls(client.find(where), client.AGREED_TIMEOUT)
        return cls(client.find(where, timeout), timeout)

    def events(
        self,
        *,
        mcp: str | None = None,
        kinds: Collection[str] = (),
        after: str | None = None,
        again: bool = True,
        controller: str | None = None,
        since: str | None = None,
    ) -> Generator[ReceivedEvent, None, None]:
        """Events as they happen, without end.

        `mcp`: the events for this MCP, in place of those for operators. `kinds`: only these kinds. `after`: the id of the
        last event that was seen, also at another controller of a cluster; later events come first. `controller`: only the
        events of this controller of a cluster. `since`: a span (10m) or a time with its zone; the kept events from then on
        come first. It does not go with `mcp`, and in a cluster it needs `controller`. `again`: a lost stream is opened again
        after the last event; otherwise Unavailable is raised, or iteration ends where the controller ended the stream. A
        token that was revoked or has expired raises NotAllowed."""
        wanted = WantedEvents(mcp, kinds, after, again, controller, since)
        while True:
            try:
                for event in self.event_stream(wanted):
                    if wanted.takes(event):
                        yield event
            except client.Unavailable as error:
                wanted.lost(error)
            if not again:
                return
            time.sleep(wanted.next_wait())

    def event_stream(
        self, wanted: "WantedEvents", opened: Callable[[socket.socket], None] | None = None
    ) -> Iterator[ReceivedEvent]:
        """The events of one stream, of all kinds, until it ends. `opened` is called with its socket. Raises as the other
        methods do."""
        lines = self._connection.lines(
            *wanted.path,
            headers=wanted.headers,
            opened=opened,
            controller=wanted.controller,
            since=wanted.since,
        )
        return events(lines)

    def etag(self, *path: str) -> str | None:
        """The entity tag of a resource, for `if_match`."""
        return self._connection.request("GET", path).etag

    def _ask(
        self,
        method: str,
        path: Sequence[str],
        *,
        body: Mapping[str, Any] | None = None,
        text: str | None = None,
        query: Mapping[str, object] | None = None,
        if_match: str | None = None,
    ) -> dict[str, Any]:
        headers = {} if if_match is None else {"If-Match": if_match}
        sent = None
        if body is not None:
            sent, headers = json.dumps(body).encode(), headers | client.JSON_BODY
        elif text is not None:
            sent, headers = text.encode(), headers | YAML_BODY
        told = {
            name: int(value) if isinstance(value, bool) else value for name, value in (query or {}).items()
        }
        patience = self._agreed_timeout if is_agreed_on(method, path) else None
        return self._connection.request(
            method, path, body=sent, headers=headers, query=told, patience=patience
        ).body
