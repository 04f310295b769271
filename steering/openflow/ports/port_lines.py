"""What the log says of switch ports: each change of state, by the site file's names, and the state that stays.

A port that comes and goes gets a line an interval. The line left out may be the one that matters: so what differs from
the last line is written when the interval is over.
"""

import logging
from collections.abc import Callable, Mapping

from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef
from steering.openflow.messages.reader import PortState

INTERVAL = 1.0  # seconds between lines about one group of ports
GROUPS = 64  # groups of a switch's ports, by their numbers: another port's change in the same second mostly gets its line

log = logging.getLogger(__name__)


class PortLines:
    """`name`: a port as the log has it. Remembers as many ports as switches are believed to have (KnownPorts)."""

    def __init__(self, name: Callable[[PortRef], str]) -> None:
        self._name = name
        # Switch -> port -> its state, as the log has it.
        self._said: dict[DatapathId, dict[PortNumber, str]] = {}
        self._waiting: dict[PortRef, tuple[str, int]] = {}  # another state than that, and the changes since
        self._next: dict[tuple[DatapathId, int], float] = {}  # switch and group -> when a line may be written

    def switch_up(self, dpid: DatapathId, ports: Mapping[PortNumber, bool]) -> None:
        """A switch told its ports: changes are told from here."""
        self.switch_down(dpid)
        self._said[dpid] = {number: "up" if up else "down" for number, up in ports.items()}

    def switch_down(self, dpid: DatapathId) -> None:
        """A switch is away; nothing more is told of its ports."""
        self._said.pop(dpid, None)
        for port in [port for port in self._waiting if port.dpid == dpid]:
            del self._waiting[port]
        for group in range(GROUPS):
            self._next.pop((dpid, group), None)

    def changed(self, port: PortRef, state: PortState, now: float) -> None:
        """A switch told a port's state, which may be what it was."""
        said = self._said.get(port.dpid)
        if said is None:
            return
        word = "up" if state.up else "gone" if state.gone else "down"
        before, changes = self._waiting.get(port, (said.get(port.port, "gone"), 0))
        if word != before:
            self._waiting[port] = (word, changes + 1)
            self._say(port, now)

    def due(self, now: float) -> None:
        """Lines that were left out, as far as they still say something."""
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
