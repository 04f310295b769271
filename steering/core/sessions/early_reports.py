"""Keeps reports of MCPs about plain sessions that come before the SYN of the session was handled.

If a SYN goes to its MCP by existing entries, the controller only gets a copy. The copy may be handled after the MCP's report.
A session with a token is found by its token later. A plain session can only be found by its first flow, and another connection
may follow on the same flow. Therefore reports about unknown flows are kept for a while.
"""

from collections.abc import Iterable, Mapping

from steering.core.counters import Counters, SessionReport
from steering.core.inputs import SessionBegan, SessionOver
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.model.ids import McpId

KEPT = 5.0  # seconds; the copy of a SYN may wait so long
MOST = 1_024  # most flows, of all MCPs together


def used_again(events: Iterable[SessionBegan | SessionOver]) -> Mapping[int, bool]:
    """The sessions of a batch (by id) that have their flow one after the other: whether each is the last on its flow."""
    last: dict[FlowKey, int] = {}
    found: dict[int, bool] = {}
    for event in events:
        if isinstance(event, SessionBegan):
            flow = flow_key(event.src, event.dst, event.sport, event.dport)
            before = last.get(flow)
            if before is not None:
                found[before], found[event.id] = False, True
            last[flow] = event.id
    return found


class EarlyReport:
    """The last report about a flow. `over`: the session has ended already, `orderly` or not. `stays`: the batch had several
    sessions on this flow, and the SYNs of more than one may still come. The report is about the session that comes last."""

    __slots__ = ("orderly", "over", "since", "stays")

    def __init__(self, since: float, over: bool, orderly: bool, stays: bool) -> None:
        self.since = since
        self.over = over
        self.orderly = orderly
        self.stays = stays


class EarlyReports:
    """Reports by MCP and flow, because an MCP's report says nothing about sessions of other MCPs.

    If there are too many, the oldest is dropped. Then the end of its session is found later, by comparison with the MCP's
    sessions (McpReports), 10 s after the SYN. An MCP that reports flows which never come can do no more harm than this.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._by_flow: dict[tuple[McpId, FlowKey], EarlyReport] = {}  # in order of time

    def __len__(self) -> int:
        return len(self._by_flow)

    def began(self, mcp: McpId, flow: FlowKey, now: float, stays: bool = False) -> None:
        """An MCP reports a live session whose SYN was not handled yet."""
        self._keep(mcp, flow, EarlyReport(now, False, False, stays))

    def ended(self, mcp: McpId, flow: FlowKey, orderly: bool, now: float, stays: bool = False) -> None:
        """An MCP reports the end of a session whose SYN was not handled yet."""
        self._keep(mcp, flow, EarlyReport(now, True, orderly, stays))

    def _keep(self, mcp: McpId, flow: FlowKey, report: EarlyReport) -> None:
        self._by_flow.pop((mcp, flow), None)
        if len(self._by_flow) >= MOST:
            del self._by_flow[next(iter(self._by_flow))]
            self._counters.session_reports[SessionReport.FORGOTTEN] += 1
        self._by_flow[mcp, flow] = report

    def take(self, mcp: McpId, flow: FlowKey) -> EarlyReport | None:
        """The MCP's report about a session that begins now. The report is dropped, unless it `stays`."""
        report = self._by_flow.get((mcp, flow))
        if report is not None:
            if not report.stays:
                del self._by_flow[mcp, flow]
            self._counters.session_reports[SessionReport.EARLY] += 1
        return report

    def forget(self, mcp: McpId) -> None:
        """An MCP was removed or replaced."""
        self._by_flow = {key: report for key, report in self._by_flow.items() if key[0] != mcp}

    def expire(self, now: float) -> None:
        """Drop reports whose time is over."""
        while self._by_flow:
            key = next(iter(self._by_flow))
            if now < self._by_flow[key].since + KEPT:
                break
            del self._by_flow[key]
