"""/v1/bindings: a device has an MCP keep a port open for it, so that connections from outside reach it (N-5.2.1e).

A binding is (device, MCP, external port) -> an address of the device and a port there, for so many seconds; whoever
connects to the MCP's address at that port reaches the device, over MPTCP. It ends with its lifetime unless it is
renewed. MCPs hear their bindings by their event streams, with the seconds that are left: an MCP that hears nothing more
ends them by itself. A device binds addresses that it is paired with (S-14) and nobody else's.
"""

import json
import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any, cast

from pydantic import Field

from steering.model.view import View
from steering.northbound.bodies import Body, HostAddress, Name, unprocessable
from steering.northbound.conditional import require_match, tag_of
from steering.northbound.events import Event, EventHub
from steering.northbound.exchange import Call, Reply
from steering.northbound.lists import Lists, Store
from steering.northbound.problems import conflict, forbidden, not_found, shown
from steering.northbound.tokens import Role

Json = dict[str, Any]

KIND, TOLD = "bindings", "binding"  # events: of an MCP, the whole of it; of everybody, what changed
KEPT = "bindings.json"
CREATED = int(HTTPStatus.CREATED)
LIFETIME, LONGEST = 3_600, 86_400  # seconds (requirements B37)
MOST_OF_DEVICE, MOST_AT_MCP = 16, 256
LOWEST = 1_024  # external ports below are services' own
DYNAMIC = range(49_152, 65_536)  # whence a port comes that nobody asked for (RFC 6335)
ID_BYTES = 8

Port = Annotated[int, Field(ge=1, le=65_535)]
Lifetime = Annotated[int, Field(ge=1, le=LONGEST)]


class BindingWish(Body):
    """`device` is for operators: a token of role device is its own. Without `mcp` one is chosen that is well, without
    `ext_port` a free one, without `address` the first that the device is paired with."""

    device: Name | None = None
    mcp: Name | None = None
    address: HostAddress | None = None
    ext_port: Annotated[int, Field(ge=LOWEST, le=65_535)] | None = None
    int_port: Port
    lifetime_s: Lifetime = LIFETIME


class BindingRenewal(Body):
    """`lifetime_s` from now on; not given, as long as before."""

    lifetime_s: Lifetime | None = None


class Bindings:
    """`clock`: seconds since 1970, since bindings outlive the controller."""

    def __init__(
        self, view: View, lists: Lists, hub: EventHub, store: Store, clock: Callable[[], float] = time.time
    ) -> None:
        self._view = view
        self._lists = lists
        self._hub = hub
        self._store = store
        self._clock = clock
        self._known: dict[str, Json] = _read(store.load(KEPT))

    # ---- REST ----------------------------------------------------------------------------------

    def listed(self, call: Call) -> Reply:
        """All of them; a device sees its own."""
        self.look()
        mine = _own(call)
        found = [self._shown(one) for one in self._known.values() if mine is None or one["device"] == mine]
        return Reply({"bindings": found})

    def one(self, call: Call) -> Reply:
        return self._reply(self._find(call))

    def bind(self, call: Call) -> Reply:
        self.look()
        wish, device = cast(BindingWish, call.body), _own(call)
        if device is None:
            device = wish.device
        elif wish.device not in (None, device):
            raise forbidden("a device binds for itself alone")
        if device is None:
            raise _wrong("device", "an operator names the device")
        paired = self._lists.pairings.get(device, [])
        if not paired:
            raise conflict(
                f"device {shown(device)} is paired with no address: PUT /v1/pairings/{{name}} first"
            )
        address = wish.address or paired[0]
        if address not in paired:
            raise _wrong("address", f"the device is not paired with {address}")
        if sum(one["device"] == device for one in self._known.values()) >= MOST_OF_DEVICE:
            raise conflict(f"the device has {MOST_OF_DEVICE} bindings, which is all there may be")
        mcp = self._mcp_for(wish.mcp, address)
        taken = {one["ext_port"] for one in self._known.values() if one["mcp"] == mcp["name"]}
        if len(taken) >= MOST_AT_MCP:
            raise conflict(f"MCP {shown(mcp['name'])} has {MOST_AT_MCP} bindings, which is all there may be")
        if wish.ext_port in taken:
            raise conflict(f"port {wish.ext_port} of MCP {shown(mcp['name'])} is bound already")
        port = wish.ext_port or secrets.choice([one for one in DYNAMIC if one not in taken])
        name = secrets.token_hex(ID_BYTES)
        self._known[name] = {
            "id": name, "device": device, "mcp": mcp["name"], "ext_port": port, "address": address,
            "int_port": wish.int_port, "lifetime_s": wish.lifetime_s, "until": self._clock() + wish.lifetime_s,
            "version": 1,
        }  # fmt: skip
        self._changed(self._known[name], "bound")
        return self._reply(self._known[name], CREATED)

    def renew(self, call: Call) -> Reply:
        found = self._find(call)
        require_match(call.if_match, _tag(found))
        found["lifetime_s"] = cast(BindingRenewal, call.body).lifetime_s or found["lifetime_s"]
        found["until"] = self._clock() + found["lifetime_s"]
        found["version"] += 1
        self._changed(found, "renewed")
        return self._reply(found)

    def unbind(self, call: Call) -> Reply:
        found = self._find(call)
        del self._known[found["id"]]
        self._changed(found, "unbound")
        return Reply({"id": found["id"]})

    def _find(self, call: Call) -> Json:
        """404 also for another device's."""
        self.look()
        found, mine = self._known.get(call.path["id"]), _own(call)
        if found is None or (mine is not None and found["device"] != mine):
            raise not_found(f"no binding {shown(call.path['id'])}")
        return found

    def _mcp_for(self, name: str | None, address: str) -> Json:
        """The MCP that was named, or the least loaded that is well; one of the address's own family."""
        six = ":" in address
        found = [
            mcp
            for mcp in sorted(self._view.mcps(), key=lambda one: (one.get("load", 0.0), one["name"]))
            if any((":" in own) == six for own in mcp["addresses"])
            and (name == mcp["name"] or (name is None and mcp["reachable"] and mcp.get("health") != "down"))
        ]
        if not found:
            raise _wrong(
                "mcp", "no such MCP with an address of this family" if name else "no MCP can be used now"
            )
        return found[0]

    def _shown(self, one: Json) -> Json:
        mcp = next((mcp for mcp in self._view.mcps() if mcp["name"] == one["mcp"]), None)
        six = ":" in one["address"]
        own = [address for address in (mcp or {"addresses": []})["addresses"] if (":" in address) == six]
        told = {name: value for name, value in one.items() if name != "until"}
        return told | {"ext_address": own[0] if own else None, "remaining_s": self._left(one)}

    def _reply(self, one: Json, status: int = int(HTTPStatus.OK)) -> Reply:
        return Reply(self._shown(one), status=status, tag=_tag(one))

    # ---- MCPs ----------------------------------------------------------------------------------

    def look(self) -> None:
        """End what is over: its time, its device's pairing, its MCP."""
        if not self._known:
            return
        now, mcps = self._clock(), {mcp["name"] for mcp in self._view.mcps()}
        for one in list(self._known.values()):
            paired = one["address"] in self._lists.pairings.get(one["device"], ())
            if one["until"] <= now or not paired or one["mcp"] not in mcps:
                del self._known[one["id"]]
                self._changed(one, "expired" if one["until"] <= now else "lost")

    def standing(self, mcp: str) -> list[tuple[str, Json]]:
        """What an MCP has to keep open, as the first event of its stream."""
        return [(KIND, self._of(mcp))]

    def _of(self, mcp: str) -> Json:
        return {
            "mcp": mcp,
            "bindings": [
                {
                    "id": one["id"], "ext_port": one["ext_port"], "host": one["address"],
                    "int_port": one["int_port"], "lasts_s": self._left(one),
                }
                for one in self._known.values()
                if one["mcp"] == mcp
            ],
        }  # fmt: skip

    def _left(self, one: Json) -> float:
        return round(max(0.0, float(one["until"]) - self._clock()), 1)

    def _changed(self, one: Json, change: str) -> None:
        self._store.save(KEPT, json.dumps(self._known))
        self._hub.publish(KIND, self._of(one["mcp"]))
        told = {"id": one["id"], "mcp": one["mcp"], "ext_port": one["ext_port"], "change": change}
        self._hub.publish(TOLD, told)


def is_for(event: Event, mcp: str) -> bool:
    """Whether an event tells an MCP's bindings; nobody else hears them: they name hosts."""
    return event.kind == KIND and event.data["mcp"] == mcp


def _read(text: str | None) -> dict[str, Json]:
    """Raises ValueError for a file that is not ours."""
    if text is None:
        return {}
    try:
        found = json.loads(text)
        good = all(
            isinstance(one["until"], int | float) and isinstance(one["ext_port"], int) and one["id"] == name
            and all(isinstance(one[word], str) for word in ("device", "mcp", "address"))
            for name, one in found.items()
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError):
        good = False
    if not good:
        raise ValueError(f"{KEPT} is none of ours: restore it, or remove it: devices ask again")
    return dict(found)


def _own(call: Call) -> str | None:
    """The one device that a token is; None for those who may act for anybody."""
    if call.who.role is not Role.DEVICE:
        return None
    if not call.who.name:
        raise forbidden("this token names no device")
    return call.who.name


def _tag(one: Json) -> str:
    return tag_of([one["id"], one["version"]])


def _wrong(path: str, message: str) -> Exception:
    return unprocessable([{"path": path, "message": message}], message)
