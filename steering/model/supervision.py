"""What is watched over: what is expected to be there, and alarms."""

from enum import StrEnum
from typing import NamedTuple


class ThingKind(StrEnum):
    """What the site expects."""

    SWITCH = "switch"
    LINK = "link"
    ATTACHMENT = "attachment"
    MCP = "mcp"


class AlarmKind(StrEnum):
    """What an operator is told of, beside the state it is in."""

    SWITCH_LOST = "switch-lost"
    LINK_LOST = "link-lost"
    ATTACHMENT_LOST = "attachment-lost"  # a port of an access network, gateway or MCP has no link
    MCP_DOWN = "mcp-down"  # it gets no new session, and its operator does not drain it
    FALLBACKS_ACCESS = "fallbacks-access"  # too many sessions of an access network fall back to plain TCP
    FALLBACKS_MCP = "fallbacks-mcp"  # too many sessions of an MCP do
    QUOTA_REACHED = "quota-reached"  # sessions or subflows were refused for a quota, by the kind of quota
    COPIES_LOST = "copies-lost"  # a meter let copies for the controller not through: of what, and of which access network
    TABLE_NEAR_BOUND = "table-near-bound"  # a bound of the controller is near, by its name in `limits`


class Alarm(NamedTuple):
    """An alarm that is raised. `name`: of what, by the site file's names; `since`: the engine's time, seconds."""

    kind: AlarmKind
    name: str
    text: str
    since: float


class AlarmChange(NamedTuple):
    """An alarm was raised or cleared. `number`: 1 for the first of this run, then one more for each."""

    number: int
    raised: bool
    alarm: Alarm
