"""Registers, changes and removes MCPs over REST while the controller runs (D-6.7.7, S-5).

No stranger can register an MCP (D-7.2): a request needs an operator's token, or the token of role mcp made for this MCP's
name.
"""

from http import HTTPStatus
from threading import Lock
from typing import Any, cast

from steering.model.control import Control, McpAnswer, McpOutcome
from steering.model.identity import Role
from steering.northbound.http.body import unprocessable
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import conflict, forbidden, not_found, shown
from steering.policy.site_mcps import McpText
from steering.store.orders import KeptOrders

Json = dict[str, Any]

CREATED = int(HTTPStatus.CREATED)


class McpRegistration:
    """`lock` is held by every request that changes the policy or the site."""

    def __init__(self, control: Control, lock: Lock, orders: KeptOrders) -> None:
        self._control = control
        self._lock = lock
        self._orders = orders

    def register(self, call: Call) -> RestReply:
        """Register a new MCP. It gets sessions as soon as it answers ARP or neighbour discovery for its address."""
        text = cast(str, call.body)
        if call.who.role is Role.MCP and McpText(text).name != call.who.mcp:
            raise forbidden(f"this token is that of MCP {call.who.mcp}, for itself alone")
        with self._lock:
            return self._reply(self._control.put_mcp(text, None), CREATED)

    def change(self, call: Call) -> RestReply:
        """Replace the description of an MCP. A change that its sessions cannot survive is refused while it has sessions."""
        name = call.path["name"]
        with self._lock:
            declared = self._control.mcp(name)
            if declared is None:
                raise _unknown(name)
            require_match(call.if_match, tag_of(declared))
            return self._reply(self._control.put_mcp(cast(str, call.body), name), int(HTTPStatus.OK))

    def remove(self, call: Call) -> RestReply:
        """Remove an MCP. With sessions it is removed only with `force`, and they end as those of an MCP that died."""
        name, force = call.path["name"], call.query["force"]
        if force and call.who.role is not Role.OPERATOR:
            raise forbidden("only an operator ends the sessions of an MCP: drain it, and wait")
        with self._lock:
            outcome = self._control.remove_mcp(name, force)
        if outcome.answer is McpAnswer.WRONG:
            raise conflict("; ".join(f"{one['path']}: {one['message']}" for one in outcome.findings[:3]))
        self._raise(outcome)
        self._orders.drain(name, False)  # a later MCP of the same name begins undrained
        return RestReply({"name": name, "kept": outcome.kept, "sessions": outcome.sessions})

    def _reply(self, outcome: McpOutcome, status: int) -> RestReply:
        if outcome.answer is McpAnswer.WRONG:
            raise unprocessable(outcome.findings, "the MCP has findings; nothing is changed")
        self._raise(outcome)
        declared = self._control.mcp(outcome.name)
        body = {"name": outcome.name, "kept": outcome.kept, "declared": declared}
        return RestReply(body, status=status, tag=tag_of(declared))

    def _raise(self, outcome: McpOutcome) -> None:
        name = outcome.name
        if outcome.answer is McpAnswer.TAKEN:
            raise conflict(f"MCP {shown(name)} is registered already: PUT /v1/mcps/{{name}} changes it")
        if outcome.answer is McpAnswer.UNKNOWN:
            raise _unknown(name)
        if outcome.answer is McpAnswer.IN_USE:
            many = f"{outcome.sessions} session{'' if outcome.sessions == 1 else 's'}"
            raise conflict(f"{many} at MCP {shown(name)}: drain it and wait, or DELETE it with force=1")


def _unknown(name: str) -> Exception:
    return not_found(f"no MCP {shown(name)}")
