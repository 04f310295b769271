"""/v1/pairings: devices and the addresses they send from (S-14). /v1/discovery: the MCPs that a device may use.

An MCP opens ports to a paired address, so a device must not pair the address of its neighbour. REST cannot see which addresses a device has:
requests come through proxies and management networks, and a device has several addresses. So an operator sets, with a device's token, the
addresses with which the device may be paired. Two devices cannot be paired with the same address.
"""

import re
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import cast

from steering.core.inputs import Input, PairingsReplaced
from steering.model.identity import Identity, Role
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, conflict, forbidden, not_found, shown
from steering.northbound.schema.bodies import Pairing
from steering.northbound.schema.view import View
from steering.store.lists import AccessLists, ListFull

_DEVICE = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)  # the names that tokens may have
LASTS_S = 300  # seconds for which a device may use an answer of /v1/discovery


class Pairings:
    """`give` passes an input to the engine."""

    def __init__(self, lists: AccessLists, give: Callable[[Input], None]) -> None:
        self._lists = lists
        self._give = give

    def restore(self) -> None:
        """Give the engine the stored pairings."""
        self._give(PairingsReplaced(self._lists.paired()))

    def listed(self, _: Call) -> RestReply:
        found = [{"name": name, "addresses": list(own)} for name, own in self._lists.pairings.items()]
        return RestReply({"pairings": found})

    def pair(self, call: Call) -> RestReply:
        """Store the addresses that a device sends from. From them it may address MCPs (S-14). Raises Problem 403, 404, 409."""
        name = call.path["name"]
        if not _DEVICE.fullmatch(name):
            raise not_found(f"no token can be that of a device {shown(name)}")
        addresses = cast(Pairing, call.body).model_dump(mode="json")["addresses"]
        self._check(call.who, name, addresses)
        try:
            self._lists.pair(name, addresses)
        except ListFull as full:
            raise conflict(str(full)) from None
        self.restore()
        return RestReply({"name": name, "addresses": addresses})

    def _check(self, who: Identity, name: str, addresses: list[str]) -> None:
        """Whether a device may pair itself with addresses; an operator may pair any. Raises Problem 403, 409."""
        if who.role is not Role.DEVICE:
            return
        of_others = {one for device, own in self._lists.pairings.items() if device != name for one in own}
        for address in addresses:
            if who.addresses and not any(ip_address(address) in network for network in who.addresses):
                raise forbidden(f"this token is not for {address}")
            if address in of_others:
                raise conflict(f"{address} is paired with another device: an operator says whose it is")

    def unpair(self, call: Call) -> RestReply:
        wanted = call.path["name"]
        if not self._lists.unpair(wanted):
            raise not_found(f"no device {shown(wanted)} is paired")
        self.restore()
        return RestReply({"name": wanted})


class McpDiscovery:
    """The resource /v1/discovery, asked by a device with its own token."""

    def __init__(self, view: View, lists: AccessLists) -> None:
        self._view = view
        self._lists = lists

    def told(self, call: Call) -> RestReply:
        """The MCPs that a device may use now, the least loaded first (N-5.2.1a, N-7.3b). Raises Problem 503 for none."""
        usable = [
            mcp
            for mcp in self._view.mcps()
            if mcp["reachable"] and mcp.get("health") not in ("down", "draining")
        ]
        if not usable:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no MCP can be used now", (("Retry-After", "5"),))
        order = sorted(usable, key=lambda mcp: (mcp.get("load", 0.0), mcp["name"]))
        found = [{"name": mcp["name"], "type": mcp["type"], "addresses": mcp["addresses"]} for mcp in order]
        name = call.who.name or call.who.id
        return RestReply(
            {"device": name, "paired": name in self._lists.pairings, "lasts_s": LASTS_S, "mcps": found}
        )
