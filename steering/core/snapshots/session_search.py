"""Searches among up to a million sessions, in the order of their numbers. SYNs are handled during its pauses."""

from collections.abc import Callable

from steering.core.sessions.flow_key import source_of
from steering.core.sessions.records import Session
from steering.core.sessions.session_order import SIZE
from steering.core.sessions.table import SessionTable
from steering.model.view import Pause

LOOKED_AT_ONCE = 128  # sessions that are tested between two pauses


def first_after(table: SessionTable, after: int, most: int, pause: Pause) -> list[int]:
    """The numbers of the first `most` sessions above `after`. Some may have ended during a pause."""
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
    """The numbers of the first `most` wanted sessions above `after`, and how many sessions are wanted in all.

    `token`: only sessions with this token, None for any. Sessions that ended during a pause are not left out: a full
    page would be taken for the last one."""
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
    """Whether an address is the source of the session's first flow or of one of its subflows."""
    flows = (session.first, *(subflow.key for subflow in session.subflows))
    return any(source_of(flow) == address for flow in flows)
