"""What MCPs reported of plain sessions before their SYNs were handled here.

Where a SYN goes to its MCP by entries that are there already, only a copy of it comes here, and the copy may wait for longer
than the report takes. A session with a token is found by it whenever it is learnt. A plain session has nothing but its
first flow, on which another connection may follow. So what is reported of a flow that nobody knows is kept for a while.
"""

from collections.abc import Iterable, Mapping

from steering.core.counters import Counters, SessionReport
from steering.core.inputs import SessionBegan, SessionOver
from steering.core.sessions.flow_key import FlowKey, flow_key
from steering.model.ids import McpId

KEPT = 5.0  # seconds for which a SYN's copy may wait
MOST = 1_024  # flows, of all MCPs together


def used_again(events: Iterable[SessionBegan | SessionOver]) -> Mapping[int, bool]:
    """Sessions of a batch that are not alone on their flow, one after the other: whether it is the last of them."""
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
    """The last report of a flow. `over`: its session ended too; `orderly`: how. `stays`: it is of the last of several sessions
    on this flow, and the SYNs of more than one of them may come: it is about the last that comes."""

    __slots__ = ("orderly", "over", "since", "stays")

    def __init__(self, since: float, over: bool, orderly: bool, stays: bool) -> None:
        self.since = since
        self.over = over
        self.orderly = orderly
        self.stays = stays


class EarlyReports:
    """Flows by MCP, since one MCP's report says nothing of another's session. When full, the oldest gives way: then
    the end of its session is found by comparing (McpReports), 10 s after its SYN. An MCP that reports flows which never come
    costs the others no more than that."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._by_flow: dict[tuple[McpId, FlowKey], EarlyReport] = {}  # in order of time

    def __len__(self) -> int:
        return len(self._by_flow)

    def began(self, mcp: McpId, flow: FlowKey, now: float, stays: bool = False) -> None:
        """A session lives at its MCP, and is not known to have begun here yet."""
        self._keep(mcp, flow, EarlyReport(now, False, False, stays))

    def ended(self, mcp: McpId, flow: FlowKey, orderly: bool, now: float, stays: bool = False) -> None:
        """A session ended at its MCP, and is not known to have begun here yet."""
        self._keep(mcp, flow, EarlyReport(now, True, orderly, stays))

    def _keep(self, mcp: McpId, flow: FlowKey, report: EarlyReport) -> None:
        self._by_flow.pop((mcp, flow), None)
        if len(self._by_flow) >= MOST:
            del self._by_flow[next(iter(self._by_flow))]
            self._counters.session_reports[SessionReport.FORGOTTEN] += 1
        self._by_flow[mcp, flow] = report

    def take(self, mcp: McpId, flow: FlowKey) -> EarlyReport | None:
        """What the MCP reported of a session that has begun here now; it is kept no longer, unless it `stays`."""
        report = self._by_flow.get((mcp, flow))
        if report is not None:
            if not report.stays:
                del self._by_flow[mcp, flow]
            self._counters.session_reports[SessionReport.EARLY] += 1
        return report

    def forget(self, mcp: McpId) -> None:
        """An MCP was removed, or is another one now."""
        self._by_flow = {key: report for key, report in self._by_flow.items() if key[0] != mcp}

    def expire(self, now: float) -> None:
        """Forget what was kept for long enough."""
        while self._by_flow:
            key = next(iter(self._by_flow))
            if now < self._by_flow[key].since + KEPT:
                break
            del self._by_flow[key]
