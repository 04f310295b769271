"""/v1/openapi.json and /metrics: the OpenAPI description and the Prometheus metrics."""

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from steering.northbound.http.exchange import Call, RestReply

Json = dict[str, Any]


class Description:
    """`document` makes the OpenAPI document at the first request, so that the start does not wait for it. `work(function)`
    runs a long computation where no packet waits for it; one computation runs at a time."""

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
        if self._document is None:  # another request may have made it while this one waited for `work`
            self._document = self._make()
        return self._document

    def metrics(self, call: Call) -> RestReply:
        encode, media_type = choose_encoder(call.accept)
        return RestReply(encode(self._registry), media_type)
