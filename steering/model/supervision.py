"""Supervision: kinds of things that are expected to be there, and alarms."""

from enum import StrEnum
from typing import NamedTuple


class ThingKind(StrEnum):
    """Kinds of things that the site expects."""

    SWITCH = "switch"
    LINK = "link"
    ATTACHMENT = "attachment"
    MCP = "mcp"


class AlarmKind(StrEnum):
    """Kinds of alarms."""

    SWITCH_LOST = "switch-lost"
    LINK_LOST = "link-lost"
    ATTACHMENT_LOST = "attachment-lost"  # a port of an access network, gateway or MCP has no link
    LINK_LONGER = (
        "link-longer"  # announcements take a multiple of what they took: somebody may carry frames there
    )
    MCP_DOWN = "mcp-down"  # the MCP gets no new session, although it is not drained
    MCP_SICK = "mcp-sick"  # it answers, and leaves SYNs unanswered, or sessions fall back at it alone
    FALLBACKS_ACCESS = "fallbacks-access"  # too many sessions of an access network fall back to plain TCP
    FALLBACKS_MCP = "fallbacks-mcp"  # too many sessions of an MCP do
    QUOTA_REACHED = "quota-reached"  # sessions or subflows were refused for a quota, by the kind of quota
    COPIES_LOST = "copies-lost"  # a meter let copies for the controller not through: of what, and of which access network
    TABLE_NEAR_BOUND = "table-near-bound"  # a bound of the controller is near, by its name in `limits`


class Alarm(NamedTuple):
    """An alarm that is raised. `name`: the thing that it is about, by its name in the site file. `since`: engine
    time, seconds."""

    kind: AlarmKind
    name: str
    text: str
    since: float


class AlarmChange(NamedTuple):
    """An alarm was raised or cleared. `number`: changes of this run are numbered from 1."""

    number: int
    raised: bool
    alarm: Alarm
