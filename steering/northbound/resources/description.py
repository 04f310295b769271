"""/v1/openapi.json and /metrics: what the northbound says of itself to programs."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from steering.northbound.http.exchange import Call, RestReply

Json = dict[str, Any]


class Description:
    """`document` makes the OpenAPI document, for whoever asks first: no start waits for it."""

    def __init__(self, document: Callable[[], Json], registry: CollectorRegistry) -> None:
        self._make = document
        self._document: Json | None = None
        self._registry = registry

    def openapi(self, _: Call) -> RestReply:
        if self._document is None:
            self._document = self._make()
        return RestReply(self._document)

    def metrics(self, call: Call) -> RestReply:
        encode, media_type = choose_encoder(call.accept)
        return RestReply(encode(self._registry), media_type)
