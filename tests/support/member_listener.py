"""A client of the events of a northbound whose heartbeat is short: in silence it does not wait."""

import json
from collections.abc import Iterator
from typing import Any

from webob import Request

from steering.northbound.http.application import RestApplication
from tests.support.fixed_view import TOKEN

Told = tuple[str, dict[str, Any]]


class Listener:
    """`last`: the id of the last event; at first of the one after which it goes on."""

    def __init__(self, application: RestApplication, last: str = "", query: str = "") -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"} | ({"Last-Event-ID": last} if last else {})
        request = Request.blank(f"/v1/events{query}", headers=headers)
        self.answer = request.get_response(application)
        assert self.answer.status_int == 200, self.answer.body
        self.last = last
        self.times: list[str] = []  # of the events that have one
        self._pieces: Iterator[bytes] = iter(self.answer.app_iter)
        assert next(self._pieces) == b"retry: 1000\n\n"

    def told(self) -> list[Told]:
        """Kind and data of what came since; raises StopIteration where the stream is over."""
        found = []
        while (piece := next(self._pieces)) != b":\n\n":
            for block in piece.decode().split("\n\n")[:-1]:
                fields = dict(line.split(": ", 1) for line in block.split("\n"))
                self.last = fields.get("id", self.last)
                self.times += [fields["time"]] if "time" in fields else []
                found.append((fields["event"], json.loads(fields["data"])))
        return found

    def leave(self) -> None:
        self.answer.app_iter.close()  # type: ignore[attr-defined]
