"""Sessions as records: short ones for lists, or all details of one. `now`: seconds of the engine's clock."""

from collections.abc import Callable
from ipaddress import ip_address
from itertools import islice

from steering.core.engine import Engine
from steering.core.sessions.records import Session, Subflow
from steering.core.sessions.table import SessionTable
from steering.core.snapshots.session_search import first_after, found, has_client
from steering.model.ids import McpId
from steering.model.network import PortRole
from steering.model.policy import Insertion
from steering.model.session import EntryKind
from steering.model.session_change import ChangedSessions, SessionChange
from steering.model.session_snapshot import (
    AbortSnapshot,
    ServerLegEntry,
    SessionDetail,
    SessionPage,
    SessionSnapshot,
    SubflowSnapshot,
    ToldEnd,
)
from steering.model.view import Pause, SessionFilter

TOLD_AT_ONCE = 50  # sessions that are described between two pauses


def page(
    engine: Engine, after: int, limit: int, wanted: SessionFilter, clock: Callable[[], float], pause: Pause
) -> SessionPage:
    """The first `limit` wanted sessions with numbers above `after`, in the order of their numbers. `pause` is called
    between portions of the work. Sessions that end during a pause are left out."""
    table = engine.sessions.table
    if wanted == SessionFilter():
        numbers, total = first_after(table, after, limit + 1, pause), len(table)
    else:
        numbers, total = found(table, after, limit + 1, _test(engine, wanted), wanted.token, pause)
    more = numbers[limit - 1] if len(numbers) > limit else None
    del numbers[limit:]
    told: list[SessionSnapshot] = []
    for at in range(0, len(numbers), TOLD_AT_ONCE):
        if at:
            pause()
        some = (table.by_id.get(number) for number in numbers[at : at + TOLD_AT_ONCE])
        told += [brief(engine, session, clock()) for session in some if session is not None]
    return SessionPage(tuple(told), total, more)


def _test(engine: Engine, wanted: SessionFilter) -> Callable[[Session], bool]:
    """A test whether a session is wanted. The token is not tested: `found` has done that."""
    mcps = {number for number, mcp in engine.map.mcps.items() if mcp.name == wanted.mcp}

    def test(session: Session) -> bool:
        return (
            (wanted.mcp is None or session.mcp in mcps or mcp_name(engine, session.mcp) == wanted.mcp)
            and (wanted.state is None or session.state.value == wanted.state)
            and (wanted.client is None or has_client(session, wanted.client))
        )

    return test


def find(engine: Engine, session_id: str) -> Session | None:
    """The live session with this id, or None."""
    if not (session_id.isascii() and session_id.isdecimal()):
        return None
    return engine.sessions.table.by_id.get(int(session_id[:20]))


def brief(engine: Engine, session: Session, now: float) -> SessionSnapshot:
    """The short record of a session."""
    flow = session.flow
    return SessionSnapshot(
        id=str(session.id),
        state=session.state,
        mcp=mcp_name(engine, session.mcp) if session.mcp else None,
        insertion=Insertion.REACTIVE if session.unit is None else Insertion.PROACTIVE,
        token=f"{session.token:08x}" if session.token >= 0 else None,
        version=session.version,
        client=_endpoint(flow.source, flow.source_port),
        server=_endpoint(flow.destination, flow.destination_port),
        explicit=engine.map.is_mcp_address(flow.destination),
        subflows=len(session.subflows),
        age_s=round(now - session.created, 3),
    )


def detail(engine: Engine, session_id: str, now: float) -> SessionDetail | None:
    """The full record of the session with this id, or None."""
    session = find(engine, session_id)
    if session is None:
        return None
    at = session.subflows[0].dpid if session.subflows else None
    more = {
        "subflows": tuple(_subflow(engine, subflow) for subflow in session.subflows),
        "server_leg": tuple(
            ServerLegEntry(engine.site.switch_name(entry.dpid), f"{entry.cookie:016x}")
            for entry in session.return_entries(PortRole.GATEWAY)
        ),
        "access_switch": None if at is None else engine.site.switch_name(at),
        "decision": session_id if session.ruling else None,
    }
    return SessionDetail(**brief(engine, session, now)._asdict() | more)


def _subflow(engine: Engine, subflow: Subflow) -> SubflowSnapshot:
    _, src, dst, sport, dport = subflow.flow
    access = engine.map.access_of(src)
    entry = subflow.session.entry(subflow)
    intent = engine.preferring.intent(subflow)
    wish = intent.wish
    return SubflowSnapshot(
        src=str(ip_address(src)),
        sport=sport,
        dst=str(ip_address(dst)),
        dport=dport,
        kind="initial" if subflow.kind is EntryKind.INITIAL else "join",
        access_network=access.name if access else None,
        path=_deviation(engine, subflow, dst),
        switch=engine.site.switch_name(subflow.dpid),
        entries=() if entry is None else (f"{entry.cookie:016x}",),
        address_id=subflow.address_id,
        backup=subflow.backup,
        access_type=intent.access_type,
        wanted="closed" if not wish.allowed else "backup" if wish.backup else "active",
        share=wish.share,
        bytes=subflow.bytes,
    )


def _deviation(engine: Engine, subflow: Subflow, dst: bytes) -> str:
    """`natural` if the MCP is on the subflow's natural path, else `redirected` (D-4.2c)."""
    mcp = engine.map.mcps.get(subflow.session.mcp)
    exits = engine.map.exits_to(dst)
    if mcp is None or not exits or not (subflow.waypoint or subflow.session.unit is not None):
        return "natural"
    graph = engine.graph
    paths = [graph.natural(subflow.dpid, port.dpid).switches for port in exits]
    on_path = any(mcp.inside.dpid in path for path in paths)
    return "natural" if on_path else "redirected"


def changed_sessions(table: SessionTable, most: int) -> ChangedSessions:
    """The changes of sessions in the journal's last period, for at most `most` sessions. Empty without a journal."""
    if table.journal is None:
        return ChangedSessions((), 0)
    last = table.journal.last
    changes = []
    for number, before in islice(last.before.items(), most):
        session = table.by_id.get(number)
        after = None if session is None else (session.state.value, len(session.subflows))
        told = None if before is None else (before.state.value, before.subflows)
        if told != after:
            changes.append(SessionChange(str(number), told, after))
    return ChangedSessions(tuple(changes), last.omitted + max(0, len(last.before) - most))


def aborted(engine: Engine, session_id: str) -> AbortSnapshot | None:
    """How far the abort of a session is. None if no abort was ordered, or its report is no longer kept."""
    number = int(session_id) if session_id.isascii() and session_id.isdecimal() else 0
    report = engine.sessions.aborted.report(number)
    if report is None:
        return None
    ends = (ToldEnd(e.kind.value, str(ip_address(e.address)), e.port, e.outcome.value) for e in report.ends)
    return AbortSnapshot(session_id, report.over, tuple(ends))


def mcp_name(engine: Engine, number: McpId) -> str:
    """The name of an MCP. If the MCP has left the site, its number in hexadecimal digits."""
    mcp = engine.map.mcps.get(number)
    return mcp.name if mcp else f"{number:04x}"


def _endpoint(address: bytes, port: int) -> str:
    if not address:
        return "?"
    text = str(ip_address(address))
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
