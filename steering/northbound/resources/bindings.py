"""/v1/bindings: a device has an MCP keep a port open, so that connections from outside reach the device (N-5.2.1e).

A binding maps (device, MCP, external port) to an address and port of the device, for a lifetime in seconds. A connection to
the MCP's address at the external port is relayed to the device over MPTCP. A binding ends with its lifetime unless it is
renewed. MCPs learn their bindings from their event streams, with the seconds that are left; an MCP that loses its stream
ends each binding at its time. A device may bind only the addresses that it is paired with (S-14).
"""

import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from steering.model.event_kind import EventKind
from steering.model.identity import Role
from steering.northbound.http.body import wrong_at
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.events import EventHub, StreamEvent
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import conflict, forbidden, not_found, shown
from steering.northbound.schema.binding_bodies import BindingRenewal, BindingWish
from steering.northbound.schema.view import View
from steering.store.interface import StateError
from steering.store.lists import AccessLists
from steering.store.port_bindings import PortBinding, PortBindings

Json = dict[str, Any]

KIND, TOLD = (
    EventKind.BINDINGS,
    EventKind.BINDING,
)  # KIND: all bindings of one MCP, for that MCP alone; TOLD: one change, for all listeners
CREATED = int(HTTPStatus.CREATED)
MOST_OF_DEVICE, MOST_AT_MCP = 16, 256
DYNAMIC = range(49_152, 65_536)  # ports to choose from where the request names none (RFC 6335 section 6)
ID_BYTES = 8


class Bindings:
    """`clock`: seconds since 1970, not the engine's clock, because bindings outlive the controller."""

    def __init__(
        self,
        view: View,
        lists: AccessLists,
        hub: EventHub,
        kept: PortBindings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._view = view
        self._lists = lists
        self._hub = hub
        self._kept = kept
        self._clock = clock

    # ---- REST ----------------------------------------------------------------------------------

    def listed(self, call: Call) -> RestReply:
        """All bindings; a device gets only its own."""
        self.look()
        mine = _own(call)
        known = self._kept.known.values()
        return RestReply(
            {"bindings": [self._shown(one) for one in known if mine is None or one.device == mine]}
        )

    def one(self, call: Call) -> RestReply:
        return self._reply(self._find(call))

    def bind(self, call: Call) -> RestReply:
        """Make a binding. Raises Problem 403 for another device, 409 for a port or number of bindings that is taken, 422 for
        an address, device or MCP that cannot be used."""
        self.look()
        wish = cast(BindingWish, call.body)
        device, address = self._place(wish, _own(call))
        known = self._kept.known.values()
        if sum(one.device == device for one in known) >= MOST_OF_DEVICE:
            raise conflict(f"the device has {MOST_OF_DEVICE} bindings, which is all there may be")
        mcp: str = self._mcp_for(wish.mcp, address)["name"]
        taken = {one.ext_port for one in known if one.mcp == mcp}
        if len(taken) >= MOST_AT_MCP:
            raise conflict(f"MCP {shown(mcp)} has {MOST_AT_MCP} bindings, which is all there may be")
        if wish.ext_port in taken:
            raise conflict(f"port {wish.ext_port} of MCP {shown(mcp)} is bound already")
        port = wish.ext_port or secrets.choice([one for one in DYNAMIC if one not in taken])
        until = self._clock() + wish.lifetime_s
        made = PortBinding(
            secrets.token_hex(ID_BYTES), device, mcp, port, address, wish.int_port, wish.lifetime_s, until, 1
        )
        self._kept.put(made)
        self._tell(made, "bound")
        return self._reply(made, CREATED)

    def _place(self, wish: BindingWish, own: str | None) -> tuple[str, str]:
        """The device that binds, and its address. `own`: the device whose token asks, None for an operator. Raises Problem 403,
        409, 422."""
        if own is not None and wish.device not in (None, own):
            raise forbidden("a device binds for itself alone")
        device = own or wish.device
        if device is None:
            raise wrong_at("device", "an operator names the device")
        paired = self._lists.pairings.get(device, [])
        if not paired:
            raise conflict(
                f"device {shown(device)} is paired with no address: PUT /v1/pairings/{{name}} first"
            )
        address = wish.address or paired[0]
        if address not in paired:
            raise wrong_at("address", f"the device is not paired with {address}")
        return device, address

    def renew(self, call: Call) -> RestReply:
        found = self._find(call)
        require_match(call.if_match, _tag(found))
        lifetime = cast(BindingRenewal, call.body).lifetime_s or found.lifetime_s
        renewed = found._replace(
            lifetime_s=lifetime, until=self._clock() + lifetime, version=found.version + 1
        )
        self._kept.put(renewed)
        self._tell(renewed, "renewed")
        return self._reply(renewed)

    def unbind(self, call: Call) -> RestReply:
        found = self._find(call)
        self._kept.drop([found.id])
        self._tell(found, "unbound")
        return RestReply({"id": found.id})

    def _find(self, call: Call) -> PortBinding:
        """The binding that the path names. Raises Problem 404, also for another device's binding."""
        self.look()
        found, mine = self._kept.known.get(call.path["id"]), _own(call)
        if found is None or (mine is not None and found.device != mine):
            raise not_found(f"no binding {shown(call.path['id'])}")
        return found

    def _mcp_for(self, name: str | None, address: str) -> Json:
        """The named MCP, or without a name the least loaded one that is reachable and not down. It has an address of the
        family of `address`. Raises Problem 422."""
        six = ":" in address
        found = [
            mcp
            for mcp in sorted(self._view.mcps(), key=lambda one: (one.get("load", 0.0), one["name"]))
            if any((":" in own) == six for own in mcp["addresses"])
            and (name == mcp["name"] or (name is None and mcp["reachable"] and mcp.get("health") != "down"))
        ]
        if not found:
            raise wrong_at(
                "mcp", "no such MCP with an address of this family" if name else "no MCP can be used now"
            )
        return found[0]

    def _shown(self, one: PortBinding) -> Json:
        mcp = next((mcp for mcp in self._view.mcps() if mcp["name"] == one.mcp), None)
        six = ":" in one.address
        own = [address for address in (mcp or {"addresses": []})["addresses"] if (":" in address) == six]
        told = one._asdict()
        del told["until"]
        return told | {"ext_address": own[0] if own else None, "remaining_s": self._left(one)}

    def _reply(self, one: PortBinding, status: int = int(HTTPStatus.OK)) -> RestReply:
        return RestReply(self._shown(one), status=status, tag=_tag(one))

    # ---- MCPs ----------------------------------------------------------------------------------

    def look(self) -> None:
        """End the bindings whose lifetime, device's pairing or MCP is gone."""
        if not self._kept.known:
            return
        now, mcps = self._clock(), {mcp["name"] for mcp in self._view.mcps()}
        over = [
            one
            for one in self._kept.known.values()
            if one.until <= now
            or one.mcp not in mcps
            or one.address not in self._lists.pairings.get(one.device, ())
        ]
        if not over:
            return
        ids = [one.id for one in over]
        try:
            self._kept.drop(ids)
        except StateError:
            # They are over even if the store still holds them: the next controller ends them in its first look.
            self._kept.forget(ids)
        for one in over:
            self._tell(one, "expired" if one.until <= now else "lost")

    def standing(self, mcp: str) -> list[tuple[str, Json]]:
        """The bindings of an MCP, as the first event of its stream."""
        return [(KIND, self._of(mcp))]

    def _of(self, mcp: str) -> Json:
        return {
            "mcp": mcp,
            "bindings": [
                {
                    "id": one.id, "ext_port": one.ext_port, "host": one.address,
                    "int_port": one.int_port, "lasts_s": self._left(one),
                }
                for one in self._kept.known.values()
                if one.mcp == mcp
            ],
        }  # fmt: skip

    def _left(self, one: PortBinding) -> float:
        return round(max(0.0, float(one.until) - self._clock()), 1)

    def _tell(self, one: PortBinding, change: str) -> None:
        self._hub.publish(KIND, self._of(one.mcp))
        told = {"id": one.id, "mcp": one.mcp, "ext_port": one.ext_port, "change": change}
        self._hub.publish(TOLD, told)


def is_for(event: StreamEvent, mcp: str) -> bool:
    """Whether an event holds the bindings of this MCP. Other listeners must not get it, as it names hosts."""
    return event.kind == KIND and event.data["mcp"] == mcp


def _own(call: Call) -> str | None:
    """The device of a token of role device; None for roles that may act for every device. Raises Problem 403."""
    if call.who.role is not Role.DEVICE:
        return None
    if not call.who.name:
        raise forbidden("this token names no device")
    return call.who.name


def _tag(one: PortBinding) -> str:
    return tag_of([one.id, one.version])
