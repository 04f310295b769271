"""Sessions that somebody asks for, out of a million: in the order of their numbers, and with pauses in which SYNs have their
turn."""

from collections.abc import Callable

from steering.core.sessions.flow_key import source_of
from steering.core.sessions.records import Session
from steering.core.sessions.session_order import SIZE
from steering.core.sessions.table import SessionTable
from steering.model.view import Pause

LOOKED_AT_ONCE = 128  # sessions that are compared with what is wanted in one go


def first_after(table: SessionTable, after: int, most: int, pause: Pause) -> list[int]:
    """The first sessions with numbers above `after`; some may have ended during a pause."""
    page: list[int] = []
    last: int | None = after
    while last is not None and len(page) < most:
        if last != after:
            pause()
        sessions, last = table.order.following(last, min(most - len(page), SIZE))
        page += [session.id for session in sessions]
    return page


def found(
    table: SessionTable,
    after: int,
    most: int,
    is_wanted: Callable[[Session], bool],
    token: int | None,
    pause: Pause,
) -> tuple[list[int], int]:
    """The first sessions with numbers above `after` that are wanted, and how many are wanted in all. `token`: theirs, None
    for any. Some may have ended during a pause: left out here, they would make a full page look like the last one."""
    if token is not None:
        owners = {one.id: one for one in (*table.with_token(token), *table.with_host_token(token))}
        wanted = [number for number in sorted(owners) if is_wanted(owners[number])]
        return [number for number in wanted if number > after][:most], len(wanted)
    page: list[int] = []
    total = 0
    last: int | None = 0
    while last is not None:
        sessions, last = table.order.following(last, LOOKED_AT_ONCE)
        numbers = [session.id for session in sessions if is_wanted(session)]
        total += len(numbers)
        if len(page) < most:
            page += [number for number in numbers if number > after][: most - len(page)]
        pause()
    return page, total


def has_client(session: Session, address: bytes) -> bool:
    """Whether a host's address is that of the session's first flow or of one of its subflows."""
    flows = (session.first, *(subflow.key for subflow in session.subflows))
    return any(source_of(flow) == address for flow in flows)
