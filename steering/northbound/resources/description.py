"""/v1/openapi.json and /metrics: what the northbound says of itself to programs."""

from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from steering.northbound.http.exchange import Call, RestReply

Json = dict[str, Any]


class Description:
    """`document` is the OpenAPI document."""

    def __init__(self, document: Json, registry: CollectorRegistry) -> None:
        self._document = document
        self._registry = registry

    def openapi(self, _: Call) -> RestReply:
        return RestReply(self._document)

    def metrics(self, call: Call) -> RestReply:
        encode, media_type = choose_encoder(call.accept)
        return RestReply(encode(self._registry), media_type)
