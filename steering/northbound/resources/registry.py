"""/v1/registry: registered subscribers, by pseudonym, and the addresses of their hosts."""

from collections.abc import Callable
from typing import cast

from steering.core.inputs import Input, RegistryReplaced
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import conflict, not_found, shown
from steering.northbound.schema.bodies import Registration
from steering.store.lists import AccessLists, ListFull


class Registry:
    """`give` passes an input to the engine. `pseudonym`: a subscriber's own name -> its pseudonym, which is stored and shown."""

    def __init__(
        self, lists: AccessLists, give: Callable[[Input], None], pseudonym: Callable[[str], str]
    ) -> None:
        self._lists = lists
        self._give = give
        self._pseudonym = pseudonym

    def restore(self) -> None:
        """Give the engine the stored registrations."""
        self._give(RegistryReplaced(self._lists.registered()))

    def listed(self, _: Call) -> RestReply:
        found = [{"id": name, **one} for name, one in self._lists.registry.items()]
        return RestReply({"subscribers": found})

    def register(self, call: Call) -> RestReply:
        """Register a subscriber by its own name, an opaque id or an IMSI. The name is turned into a pseudonym here and not
        stored. Raises Problem 409 where the registry is full."""
        body = cast(Registration, call.body)
        told = body.model_dump(mode="json")
        try:
            found = self._lists.register(self._pseudonym(body.subscriber), body.allowed, told["addresses"])
        except ListFull as full:
            raise conflict(str(full)) from None
        self.restore()
        return RestReply(found)

    def strike(self, call: Call) -> RestReply:
        wanted = call.path["id"]
        if not self._lists.strike(wanted):
            raise not_found(f"no subscriber {shown(wanted)} is registered; /v1/registry lists them")
        self.restore()
        return RestReply({"id": wanted})
