"""/v1/health, /v1/status, /v1/topology, /v1/ports, /v1/gateways and /v1/limits: the state of controller and network."""

from steering.northbound.auth.pseudonyms import of_limits
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.schema.view import View


class Status:
    """`pseudonyms`: the key of subscribers' pseudonyms."""

    def __init__(self, view: View, pseudonyms: bytes) -> None:
        self._view = view
        self._pseudonyms = pseudonyms

    def health(self, _: Call) -> RestReply:
        return RestReply(self._view.health())

    def status(self, _: Call) -> RestReply:
        return RestReply(self._view.status())

    def topology(self, _: Call) -> RestReply:
        return RestReply(self._view.topology())

    def ports(self, call: Call) -> RestReply:
        return RestReply(self._view.ports(call.query["switch"]))

    def gateways(self, _: Call) -> RestReply:
        return RestReply({"gateways": self._view.gateways()})

    def limits(self, _: Call) -> RestReply:
        return RestReply(of_limits(self._pseudonyms, self._view.limits()))
