"""What controllers tell each other about the reports of MCPs. An MCP reports to one controller, and only this controller sees that the MCP
froze, or reports that it does not serve. All controllers have to know this: they choose among the same MCPs, and each ends its own sessions
of an MCP that died.

A controller only tells what the reports to itself show, and never what it was told. An MCP may begin to report to another controller. Then
the word of the controller that gets the reports counts more than all others, and the former one forgets the MCP's reports.

A controller that lies may call any MCP dead. It is believed if no controller gets reports of that MCP: reports may go to any controller, and
only controllers have certificates of the cluster.
"""

from collections.abc import Callable, Collection, Mapping

from steering.core.outputs import Output
from steering.core.part import McpsChange
from steering.core.peer_facts import TellPeer
from steering.core.selection.chooser import Chooser
from steering.core.selection.mcp_health import McpFault
from steering.model.ids import McpId
from steering.wire.peer_messages import WITH_MCP_REPORTS, McpWord, ReportState

AGAIN = 5.0  # seconds after which all words are told again: another controller may know an MCP a moment later
_HEARD, _GONE = ReportState.SERVES, (ReportState.FROZEN, ReportState.REFUSES)
# The fault that words of others mean, and whether live sessions go on. The first state here that some word has counts.
_FAULTS = (
    (ReportState.FROZEN, McpFault.FROZEN, False),
    (ReportState.REFUSES, McpFault.SAYS_SO, False),
    (ReportState.LEFT_ALONE, McpFault.FROZEN, True),
)


class McpWords:
    """`left_alone` returns the MCPs that are gone for new sessions only (sessions.dead_mcps), as found in the same tick."""

    def __init__(self, chooser: Chooser, left_alone: Callable[[], Collection[McpId]]) -> None:
        self._chooser = chooser
        self._left_alone = left_alone
        self._own: dict[McpId, int] = {}  # own words: what reports to this controller show, without NONE
        self._said: dict[McpId, dict[str, int]] = {}  # the words of others, without NONE
        self._old: set[tuple[McpId, str]] = set()  # words of controllers that were lost since
        self._again = 0.0

    # ---- words for others -----------------------------------------------------------------------

    def all(self, name: str, versions: Mapping[str, int]) -> list[Output]:
        """All words for a controller."""
        if versions.get(name, 0) < WITH_MCP_REPORTS:
            return []
        return [TellPeer(name, McpWord(number, state)) for number, state in self._own.items()]

    def news(self, versions: Mapping[str, int], now: float) -> list[Output]:
        """The words that changed since the last call, and now and then all words."""
        outputs: list[Output] = []
        names = sorted(name for name, version in versions.items() if version >= WITH_MCP_REPORTS)
        again = now >= self._again
        if again:
            self._again = now + AGAIN
        changed = False
        for number, state in self._states(now):
            known = self._own.get(number, ReportState.NONE)
            if state != known:
                self._own[number] = state
                changed |= self._weigh(number, now)
            if state != known or again:
                outputs += [TellPeer(name, McpWord(number, state)) for name in names]
            if state == ReportState.NONE:
                del self._own[number]
        if changed:
            self._chooser.refresh(now)
        return outputs

    def _states(self, now: float) -> list[tuple[McpId, int]]:
        """The state of each MCP that reports to this controller, or did so at the last tick."""
        left_alone = self._left_alone()
        found: list[tuple[McpId, int]] = []
        for number, health in self._chooser.health.items():
            if not health.reports:
                if number in self._own:
                    found.append((number, ReportState.NONE))
                continue
            fault = health.by_reports(now)
            if fault is None:
                found.append((number, ReportState.SERVES))
            elif fault is McpFault.SAYS_SO:
                found.append((number, ReportState.REFUSES))
            else:
                # Where probes fail, too, it is not known whether its silence is the fault of the network of the reports.
                dead = health.fault is McpFault.FROZEN and number not in left_alone
                found.append((number, ReportState.FROZEN if dead else ReportState.LEFT_ALONE))
        return found

    # ---- words of others ------------------------------------------------------------------------

    def told(self, by: str, word: McpWord, now: float) -> bool:
        """Take the word of controller `by`. Returns False for an MCP that is not known."""
        number = McpId(word.mcp)
        health = self._chooser.health.get(number)
        if health is None:
            return False
        said = self._said.setdefault(number, {})
        self._old.discard((number, by))
        if said.get(by, ReportState.NONE) == word.state:
            return True
        if word.state == ReportState.NONE:
            del said[by]
        else:
            said[by] = word.state
        if word.state == _HEARD and health.reports:
            health.reports_elsewhere(now)
        if self._weigh(number, now):
            self._chooser.refresh(now)
        return True

    def _weigh(self, number: McpId, now: float) -> bool:
        """Tell the health of an MCP the fault that all words together mean. Returns whether it has changed."""
        words = set(self._said.get(number, {}).values())
        fault, lives = None, False
        if _HEARD not in words and self._own.get(number) != _HEARD:
            found = (one[1:] for one in _FAULTS if one[0] in words)
            fault, lives = next(found, (None, False))
        return self._chooser.health[number].told(fault, lives, now)

    # ---- who is there ---------------------------------------------------------------------------

    def up(self, name: str, now: float) -> None:
        """A controller can be reached again. Its earlier words are dropped: it tells them anew if they still hold."""
        self._drop(name, lambda number, state: (number, name) in self._old, now)

    def lost(self, name: str, now: float) -> None:
        """A controller is lost, and hears no MCP for the others. An MCP that it found dead stays dead: that MCP reports to
        another controller when it is well."""
        self._drop(name, lambda number, state: state not in _GONE, now)
        self._old |= {(number, name) for number, said in self._said.items() if name in said}

    def forget(self, name: str, now: float) -> None:
        """A controller has left."""
        self._drop(name, lambda number, state: True, now)

    def _drop(self, name: str, which: Callable[[McpId, int], bool], now: float) -> None:
        changed = False
        for number, said in self._said.items():
            if name in said and which(number, said[name]):
                del said[name]
                self._old.discard((number, name))
                changed |= self._weigh(number, now)
        if changed:
            self._chooser.refresh(now)

    def mcps_changed(self, change: McpsChange) -> None:
        """Forget MCPs that were removed or replaced."""
        for number in {*change.gone, *change.others}:
            self._own.pop(number, None)
            self._said.pop(number, None)
            self._old = {one for one in self._old if one[0] != number}
