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
    LINK_LONGER = "link-longer"  # discovery frames take many times as long: perhaps somebody relays them
    MCP_DOWN = "mcp-down"  # the MCP gets no new session, although it is not drained
    MCP_SICK = "mcp-sick"  # the MCP answers probes, but not SYNs, or sessions fall back at this MCP alone
    FALLBACKS_ACCESS = "fallbacks-access"  # too many sessions of an access network fall back to plain TCP
    FALLBACKS_MCP = "fallbacks-mcp"  # too many sessions of an MCP fall back to plain TCP
    QUOTA_REACHED = "quota-reached"  # a quota refused sessions or subflows; the name is the quota's kind
    COPIES_LOST = "copies-lost"  # a meter dropped copies for the controller; its name says which copies
    WORK_FAULT = (
        "work-fault"  # an exception that nobody expected ended a turn of a work; the name is the work's
    )
    TABLE_NEAR_BOUND = "table-near-bound"  # a bound of the controller is near; its name is as in `limits`


class Alarm(NamedTuple):
    """An alarm that is raised. `name`: the name in the site file of the thing that the alarm is about. `since`: engine
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
