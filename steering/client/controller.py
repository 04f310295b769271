"""The client itself: finds a controller, sends what `Operations` says, and follows its events."""

import argparse
import json
import socket
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import Any

from steering.cli import client
from steering.cli.events import ReceivedEvent, events
from steering.client.operations import Operations

YAML_BODY = {"Content-Type": "application/yaml"}
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0  # seconds before a lost stream of events is asked for again


_AGREED_ON = {
    ("PUT", "policy"),
    ("POST", "policy/rollback"),
    ("POST", "mcps"),
    ("PUT", "mcps/"),
    ("DELETE", "mcps/"),
}


def is_agreed_on(method: str, path: Sequence[str]) -> bool:
    """Whether all controllers of a cell agree on a request before it is answered, or it waits behind such a one."""
    is_of_one = path[0] == "mcps" and len(path) == 2
    return (method, "mcps/" if is_of_one else "/".join(path)) in _AGREED_ON


class WantedEvents:
    """Which events are followed, the last that was seen, and when a stream that was lost is asked for again."""

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
        """It was seen; whether it is one of those that are wanted."""
        self._after, self._wait = event.id or self._after, FIRST_WAIT
        return not self._kinds or event.kind in self._kinds

    def lost(self, error: client.Unavailable) -> None:
        """Raises what no second attempt mends, or anything where none is wanted."""
        if not self._again or isinstance(error, client.NotFound | client.NotAllowed):
            raise error

    def next_wait(self) -> float:
        """Seconds until the stream is asked for again."""
        wait, self._wait = self._wait, min(2 * self._wait, LONGEST_WAIT)
        return wait


class SteeringClient(Operations):
    """A controller. Each request opens a connection; nothing is kept between them, so threads may share one.

    Methods raise Unavailable where it cannot be asked or refuses, NotAllowed for its token (401, 403), NotFound (404), Rejected (422), Outdated (412) and
    BadInput for arguments that cannot be sent.
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
        """The controller at a URL, else where the environment or the state directory says, as commands find it.
        `timeout`: seconds without a byte; without it 10, and 150 for what all controllers of a cell agree on first (a policy, an MCP's
        description)."""
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
        """Events as they happen, without end. `mcp`: what this MCP is told; `kinds`: only these; `after`: the id of
        the last event that was seen, also at another controller of a cluster; `controller`: only its events;
        `since`: a span of time (10m) or a time with its zone, from which on what that controller keeps comes first: not with `mcp`, and in a
        cluster only with `controller`; `again`: a stream that
        is lost is asked for again after that event, else Unavailable is raised or, where the controller ended it, iteration ends. A token
        that was taken back or has expired meanwhile ends it with NotAllowed."""
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
        """Events of one stream, of all kinds, until it ends. `opened` is told its socket. Raises as methods do."""
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
