"""/v1/openapi.json and /metrics: what the northbound says of itself to programs."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from steering.northbound.http.exchange import Call, RestReply

Json = dict[str, Any]


class Description:
    """`document` makes the OpenAPI document, for whoever asks first: no start waits for it. `work(function)` runs what
    takes a while where it holds up nobody, one piece at a time."""

    def __init__(
        self, document: Callable[[], Json], registry: CollectorRegistry, work: Callable[..., Any]
    ) -> None:
        self._make = document
        self._work = work
        self._document: Json | None = None
        self._registry = registry

    def openapi(self, _: Call) -> RestReply:
        return RestReply(self._document or self._work(self._made))

    def _made(self) -> Json:
        if self._document is None:  # others may have waited for their turn to make it too
            self._document = self._make()
        return self._document

    def metrics(self, call: Call) -> RestReply:
        encode, media_type = choose_encoder(call.accept)
        return RestReply(encode(self._registry), media_type)
