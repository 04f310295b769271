"""The client itself: finds a controller, sends what `Operations` says, and follows its events."""

import argparse
import json
import time
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any

from steering.cli import client
from steering.cli.events import ReceivedEvent, events
from steering.client.operations import Operations

YAML_BODY = {"Content-Type": "application/yaml"}
FIRST_WAIT, LONGEST_WAIT = 0.2, 10.0  # seconds before a lost stream of events is asked for again


class SteeringClient(Operations):
    """A controller. Each request opens a connection; nothing is kept between them, so threads may share one.

    Methods raise Unavailable where it cannot be asked or refuses, NotAllowed for its token (401, 403), NotFound (404), Rejected (422), Outdated (412) and
    BadInput for arguments that cannot be sent.
    """

    def __init__(self, connection: client.ControllerClient) -> None:
        self._connection = connection

    @classmethod
    def at(
        cls,
        url: str | None = None,
        *,
        token_file: str | None = None,
        state_dir: str | None = None,
        ca_file: str | None = None,
        client_cert: str | None = None,
        timeout: float = client.TIMEOUT,
    ) -> "SteeringClient":
        """The controller at a URL, else where the environment or the state directory says, as commands find it.
        `timeout`: seconds without a byte."""
        where = argparse.Namespace(
            url=url, token_file=token_file, state_dir=state_dir, ca_file=ca_file, client_cert=client_cert
        )
        return cls(client.find(where, timeout))

    def events(
        self,
        *,
        mcp: str | None = None,
        kinds: Collection[str] = (),
        after: str | None = None,
        again: bool = True,
    ) -> Generator[ReceivedEvent, None, None]:
        """Events as they happen, without end. `mcp`: what this MCP is told; `kinds`: only these; `after`: the id of
        the last event that was seen; `again`: a stream that is lost is asked for again after that event, else
        Unavailable is raised or, where the controller ended it, iteration ends. A token that was taken back or has
        expired meanwhile ends it with NotAllowed."""
        path = ["events"] if mcp is None else ["mcps", mcp, "events"]
        wait = FIRST_WAIT
        while True:
            try:
                headers = {} if after is None else {"Last-Event-ID": after}
                for event in events(self._connection.lines(*path, headers=headers)):
                    after, wait = event.id or after, FIRST_WAIT
                    if not kinds or event.kind in kinds:
                        yield event
            except (client.NotFound, client.NotAllowed, client.BadInput):
                raise
            except client.Unavailable:
                if not again:
                    raise
            if not again:
                return
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)

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
        return self._connection.request(method, path, body=sent, headers=headers, query=told).body
