"""POST /v1/mcps/{name}/sessions: a relay reports sessions that began and ended, its load and its health
(docs/relay-reports.rst)."""

from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import cast

from steering.core.inputs import McpReport, McpSessions, SessionBegan, SessionOver
from steering.model.control import Control
from steering.model.ids import NO_TOKEN, McpId, Token
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, not_found, shown
from steering.northbound.schema.report_bodies import (
    BeganEvent,
    EndedEvent,
    RelayEnd,
    RelayState,
    SessionBatch,
)
from steering.northbound.schema.view import View

ACCEPTED = int(HTTPStatus.ACCEPTED)
PACE, LONGEST_PACE = 0.2, 60.0  # seconds between the reports of a relay
REPORTS = 100.0  # reports a second from all relays together: the more relays, the longer each one's pace
FULL = 1.0  # load of a relay that would reset one more session
_SERVES = frozenset({RelayState.UP, RelayState.FULL, RelayState.STARVED})


class SessionReports:
    """The resource. Whether a batch follows the one before it is the engine's decision: only the engine knows the last one."""

    def __init__(self, view: View, control: Control, now: Callable[[], float]) -> None:
        self._view = view
        self._control = control
        self._now = now
        self._reporters: dict[str, float] = {}  # name -> when it reported last, in this order

    def report(self, call: Call) -> RestReply:
        """Give the engine a batch; 202 where it has taken this batch, now or earlier. Raises Problem 409 where the relay has to
        report its whole set of sessions."""
        name, batch = call.path["name"], cast(SessionBatch, call.body)
        known = self._view.reported(name)
        if known is None:
            raise not_found(f"no MCP {shown(name)}")
        mcp, health = known[0], batch.state.health
        load = batch.state.load if health is RelayState.UP else FULL
        self._control.give(McpReport(mcp, health in _SERVES, load, batch.state.pace))
        self._control.take(told(mcp, batch))
        after = self._view.reported(name)
        if after is None or after[1] != (batch.generation, batch.sequence):
            raise Problem(
                HTTPStatus.CONFLICT, "what came before this batch is not known here: tell the whole set"
            )
        body = {"name": name, "sequence": batch.sequence, "pace": self._pace(name)}
        return RestReply(body, status=ACCEPTED)

    def _pace(self, name: str) -> float:
        """Seconds after which this relay is to report again, so that all relays make at most REPORTS a second."""
        now = self._now()
        self._reporters.pop(name, None)
        self._reporters[name] = now
        while now - next(iter(self._reporters.values())) > LONGEST_PACE:
            del self._reporters[next(iter(self._reporters))]
        return min(LONGEST_PACE, max(PACE, len(self._reporters) / REPORTS))


def told(mcp: McpId, batch: SessionBatch) -> McpSessions:
    """A batch as an input of the engine; `mcp`: the id of the MCP that sent it."""
    part, last = (batch.whole.part, batch.whole.last) if batch.whole is not None else (0, False)
    return McpSessions(
        mcp, batch.generation, batch.sequence, part, last, tuple(_event(event) for event in batch.events)
    )


def _event(event: BeganEvent | EndedEvent) -> SessionBegan | SessionOver:
    token = NO_TOKEN if event.token is None else Token(int(event.token, 16))
    if isinstance(event, EndedEvent):
        return SessionOver(event.id, token, event.how is RelayEnd.ORDERLY)
    (client, sport), (server, dport) = event.client, event.server
    return SessionBegan(event.id, token, ip_address(client).packed, sport, ip_address(server).packed, dport)
