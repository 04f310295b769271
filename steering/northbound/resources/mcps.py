"""/v1/mcps: the MCPs with their load, their drain, and their own reports of health and load."""

from http import HTTPStatus
from typing import Any, cast

from steering.core.inputs import McpAdmin, McpReport
from steering.model.control import Control
from steering.model.event_kind import EventKind
from steering.northbound.http.conditional import tag_of
from steering.northbound.http.events import EventHub
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import bad_request, not_found, shown
from steering.northbound.resources.slow_servers import SlowServers
from steering.northbound.schema.bodies import LoadReport
from steering.northbound.schema.view import View
from steering.store.orders import KeptOrders

Json = dict[str, Any]

ACCEPTED = int(HTTPStatus.ACCEPTED)
MAX_NAMES_SHOWN = 16


def mcp_named(view: View, name: str) -> Json:
    """The MCP of this name, as `View.mcps` describes it. Raises Problem 404."""
    for found in view.mcps():
        if found["name"] == name:
            return found
    raise not_found(f"no MCP {shown(name)}")


def check_mcp(view: View, name: str) -> None:
    """Raises Problem 400 for an unknown MCP name: the empty list of sessions would hide a misspelt name."""
    names = [known["name"] for known in view.mcps()]
    if name not in names:
        listed = ", ".join(names[:MAX_NAMES_SHOWN]) + (", ..." if len(names) > MAX_NAMES_SHOWN else "")
        raise bad_request(f"no MCP {shown(name)}; known: {listed or 'none'}")


class Mcps:
    """The resource /v1/mcps. MCPs are registered in `mcp_registration`; their event streams are in `event_streams`."""

    def __init__(self, view: View, control: Control, hub: EventHub, orders: KeptOrders) -> None:
        self._view = view
        self._control = control
        self._hub = hub
        self._orders = orders
        self._slow = SlowServers()

    def listed(self, _: Call) -> RestReply:
        return RestReply({"mcps": self._view.mcps()})

    def one(self, call: Call) -> RestReply:
        """One MCP with its declaration; the ETag is that of the declaration."""
        found = mcp_named(self._view, call.path["name"])
        declared = self._control.mcp(found["name"])
        body = {**found, "slow_servers": self._slow.of(found["name"]), "declared": declared}
        return RestReply(body, tag=tag_of(declared))

    def drain(self, call: Call) -> RestReply:
        return self._admin(call, True)

    def undrain(self, call: Call) -> RestReply:
        return self._admin(call, False)

    def _admin(self, call: Call, draining: bool) -> RestReply:
        mcp = mcp_named(self._view, call.path["name"])
        changed = (mcp["name"] in self._orders.orders.draining) != draining
        self._orders.drain(mcp["name"], draining)
        self._control.give(McpAdmin(mcp["id"], draining))
        told = {"name": mcp["name"], "draining": draining}
        self._hub.publish(EventKind.DRAIN, told)
        return RestReply(told | {"changed": changed}, status=ACCEPTED)

    def load(self, call: Call) -> RestReply:
        mcp, report = mcp_named(self._view, call.path["name"]), cast(LoadReport, call.body)
        if report.slow_servers is not None:
            self._slow.told(mcp["name"], {one.address: one.until for one in report.slow_servers})
        if report.model_fields_set != {"slow_servers"}:
            self._control.give(McpReport(mcp["id"], report.alive, report.load))
        return RestReply({"name": mcp["name"], "alive": report.alive, "load": report.load}, status=ACCEPTED)
