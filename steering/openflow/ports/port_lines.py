"""The log lines about switch ports: each change of state, with the site file's names.

A port that comes and goes gets one line in each interval. Where the port's state differs from the last line when the
interval is over, another line says so. So the log always ends with the state that lasts.
"""

import logging
from collections.abc import Callable, Mapping

from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef
from steering.openflow.messages.reader import PortState

INTERVAL = 1.0  # seconds between lines about one group of ports
GROUPS = (
    64  # the ports of a switch form so many groups by their numbers; each group has an interval of its own
)

log = logging.getLogger(__name__)


class PortLines:
    """Writes the lines. `name` makes a port's name for the log. At most as many ports are remembered as KnownPorts takes."""

    def __init__(self, name: Callable[[PortRef], str]) -> None:
        self._name = name
        # Switch -> port -> its state in the last line.
        self._said: dict[DatapathId, dict[PortNumber, str]] = {}
        self._waiting: dict[
            PortRef, tuple[str, int]
        ] = {}  # port -> (a state not in the log yet, changes since)
        self._next: dict[tuple[DatapathId, int], float] = {}  # switch and group -> when a line may be written

    def switch_up(self, dpid: DatapathId, ports: Mapping[PortNumber, bool]) -> None:
        """A switch described its ports. Changes are compared with these states from now on."""
        self.switch_down(dpid)
        self._said[dpid] = {number: "up" if up else "down" for number, up in ports.items()}

    def switch_down(self, dpid: DatapathId) -> None:
        """A switch is gone: no more lines about its ports."""
        self._said.pop(dpid, None)
        for port in [port for port in self._waiting if port.dpid == dpid]:
            del self._waiting[port]
        for group in range(GROUPS):
            self._next.pop((dpid, group), None)

    def changed(self, port: PortRef, state: PortState, now: float) -> None:
        """A switch reported a port's state, which may be the same as before."""
        said = self._said.get(port.dpid)
        if said is None:
            return
        word = "up" if state.up else "gone" if state.gone else "down"
        before, changes = self._waiting.get(port, (said.get(port.port, "gone"), 0))
        if word != before:
            self._waiting[port] = (word, changes + 1)
            self._say(port, now)

    def due(self, now: float) -> None:
        """Write the lines that were left out, where the port's state still differs from its last line."""
        for port in list(self._waiting):
            self._say(port, now)

    def _say(self, port: PortRef, now: float) -> None:
        group = (port.dpid, port.port % GROUPS)
        if now < self._next.get(group, now):
            return
        word, changes = self._waiting.pop(port)
        said = self._said[port.dpid]
        self._next[group] = now + INTERVAL
        more = f" after {changes} changes" if changes > 1 else ""
        log.info("port %s is %s%s", self._name(port), word, more)
        if word == "gone":
            said.pop(port.port, None)
        else:
            said[port.port] = word
