"""Takes error messages of switches (OFPT_ERROR): counts them, logs some, and tells the engine which features a switch
does not have."""

import logging
from collections.abc import Callable

from steering.core.counters import Counters
from steering.core.inputs import GroupsRefused
from steering.model.ids import DatapathId
from steering.model.log_limit import LogLimit
from steering.model.ofperror import error_name
from steering.openflow.messages.encode import GROUP_MOD
from steering.openflow.messages.reader import Message, read_error, refused_type

LOG_INTERVAL = 1.0  # seconds between log lines about one switch's errors
GROUPS_INTERVAL = 60.0  # seconds between log lines that one switch does not accept groups
_METER_MOD_FAILED = 12  # OFPET_METER_MOD_FAILED
_METER_EXISTS = 1
_GROUP_MOD_FAILED = 6  # OFPET_GROUP_MOD_FAILED
_GROUP_EXISTS = 0
_EXPECTED = (
    (_METER_MOD_FAILED, _METER_EXISTS),
    (_GROUP_MOD_FAILED, _GROUP_EXISTS),
)  # see switch_filler._meters

_SHOWN = (b"\x0e", b"\x0f", b"\x1d")  # OFPT_FLOW_MOD, OFPT_GROUP_MOD, OFPT_METER_MOD

log = logging.getLogger(__name__)


class SwitchErrors:
    """Takes the errors. `name` makes a switch's name for the log."""

    def __init__(
        self, counters: Counters, name: Callable[[DatapathId], str], feed: Callable[[GroupsRefused], None]
    ) -> None:
        self._counters = counters
        self._name = name
        self._feed = feed
        self._lines = LogLimit(LOG_INTERVAL)
        self._group_lines = LogLimit(GROUPS_INTERVAL)

    def take(self, dpid: DatapathId, message: Message, now: float) -> None:
        """An error message came from a switch."""
        kind, code = read_error(message.data)
        if (kind, code) in _EXPECTED:
            return
        if kind == _GROUP_MOD_FAILED or refused_type(message.data) == GROUP_MOD:
            self._feed(GroupsRefused(dpid))
            if self._group_lines.left_out(dpid, now) is not None:
                text = "switch %s takes no failover groups: its links fail over by the controller alone"
                log.warning(text, self._name(dpid))
        self._counters.openflow_errors[error_name(kind)] += 1
        if self._lines.left_out(dpid, now) is not None:
            refused = message.data[12:76]
            # A refused packet-out is not shown: its frame may hold a key of a session.
            shown = refused.hex() if refused[1:2] in _SHOWN else "not shown"
            log.warning(
                "switch %s refused a message: %s, code %d, xid %#x, its beginning: %s",
                self._name(dpid), error_name(kind), code, message.xid, shown,
            )  # fmt: skip
