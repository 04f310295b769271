"""The resources of who may what: /v1/acl, /v1/registry, /v1/pairings, and /v1/discovery for devices."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

from steering.model.view import View
from steering.northbound.accesses import Accesses
from steering.northbound.bodies import AclList, Pairing, Registration
from steering.northbound.conditional import require_match, tag_of
from steering.northbound.exchange import Call, Reply
from steering.northbound.lists import Full, Lists
from steering.northbound.problems import Problem, conflict, not_found, shown

Json = dict[str, Any]

_DEVICE = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)  # as tokens are named
LASTS_S = 300  # how long a device may go by what it discovered


class Admission:
    """`pseudonym` makes of a subscriber's own name what is kept and shown."""

    def __init__(self, view: View, accesses: Accesses, lists: Lists, pseudonym: Callable[[str], str]) -> None:
        self._view = view
        self._accesses = accesses
        self._lists = lists
        self._pseudonym = pseudonym

    def acl(self, _: Call) -> Reply:
        body = {"entries": self._lists.acl}
        return Reply(body, tag=tag_of(body))

    def put_acl(self, call: Call) -> Reply:
        """The whole list; packets of whom it denies end at their first switch at once (N-5.3b)."""
        require_match(call.if_match, tag_of({"entries": self._lists.acl}))
        wanted = cast(AclList, call.body).model_dump(mode="json")
        names = [entry["name"] for entry in wanted["entries"]]
        if len(set(names)) < len(names):
            raise conflict("two entries have one name")
        known = {access["name"] for access in self._accesses.all()}
        for name in sorted({name for entry in wanted["entries"] for name in entry["access"]} - known):
            raise conflict(f"no access network {shown(name)}; /v1/access-networks lists them")
        self._lists.replace_acl(wanted["entries"])
        return self.acl(call)

    def registry(self, _: Call) -> Reply:
        found = [{"id": name, **one} for name, one in self._lists.registry.items()]
        return Reply({"subscribers": found})

    def register(self, call: Call) -> Reply:
        """A subscriber by its own name, an opaque id or an IMSI, which becomes a pseudonym here and goes no further."""
        body = cast(Registration, call.body)
        told = body.model_dump(mode="json")
        try:
            return Reply(
                self._lists.register(self._pseudonym(body.subscriber), body.allowed, told["addresses"])
            )
        except Full as full:
            raise conflict(str(full)) from None

    def strike(self, call: Call) -> Reply:
        wanted = call.path["id"]
        if not self._lists.strike(wanted):
            raise not_found(f"no subscriber {shown(wanted)} is registered; /v1/registry lists them")
        return Reply({"id": wanted})

    def pairings(self, _: Call) -> Reply:
        found = [{"name": name, "addresses": list(own)} for name, own in self._lists.pairings.items()]
        return Reply({"pairings": found})

    def pair(self, call: Call) -> Reply:
        """A device, by its own credential, says where it speaks from: from there it may address MCPs (S-14)."""
        name = call.path["name"]
        if not _DEVICE.fullmatch(name):
            raise not_found(f"no token can be that of a device {shown(name)}")
        addresses = cast(Pairing, call.body).model_dump(mode="json")["addresses"]
        try:
            self._lists.pair(name, addresses)
        except Full as full:
            raise conflict(str(full)) from None
        return Reply({"name": name, "addresses": addresses})

    def unpair(self, call: Call) -> Reply:
        wanted = call.path["name"]
        if not self._lists.unpair(wanted):
            raise not_found(f"no device {shown(wanted)} is paired")
        return Reply({"name": wanted})

    def discovery(self, call: Call) -> Reply:
        """The MCPs a device may use now, those first that are well (N-5.2.1a, N-7.3b)."""
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
        return Reply(
            {"device": name, "paired": name in self._lists.pairings, "lasts_s": LASTS_S, "mcps": found}
        )
