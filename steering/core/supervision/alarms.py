"""Raises and clears alarms. Other modules log and publish the changes. An alarm causes no other action.

Each kind of alarm has its own rule against flapping. An alarm about a lost thing is raised after LOST_AFTER seconds, and
cleared when the thing has been back for `steady` seconds. Fallbacks are judged in windows (supervision.fallbacks). The alarm
of a quota is cleared when nothing was refused for one window. The alarm of a table is raised at one level and cleared at a
lower one. The policy sets the thresholds (`alarms`).
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

from steering.core.counters import Counters
from steering.core.network.site_index import SiteMap
from steering.core.outputs import Output
from steering.core.part import NEVER, Part
from steering.core.supervision.expected_things import ExpectedThings
from steering.core.supervision.fallbacks import FallbackWatch, by_access, by_mcp
from steering.core.supervision.names import ThingNames
from steering.model.ids import McpId
from steering.model.policy import Policy
from steering.model.supervision import Alarm, AlarmChange, AlarmKind, ThingKind

PERIOD = 1.0  # seconds between two checks
LOST_AFTER = 2.0  # seconds for which a thing has to be missing
NEVER_AFTER = 15.0  # the same for a thing that was never there: switches need some time to connect
MOST = 1_024  # most alarms that are raised at a time; further ones wait until others are cleared
CHANGES = 256  # most changes that are kept for logging and publishing

AlarmKey = tuple[AlarmKind, str]

_LOST = {
    ThingKind.SWITCH: (AlarmKind.SWITCH_LOST, "the switch is not connected"),
    ThingKind.LINK: (AlarmKind.LINK_LOST, "the link is not up in both directions"),
    ThingKind.ATTACHMENT: (AlarmKind.ATTACHMENT_LOST, "the port has no link"),
    ThingKind.MCP: (AlarmKind.MCP_DOWN, "the MCP does not answer, or says that it does not serve"),
}
_STEADY = {kind for kind, _ in _LOST.values()}


class Alarms(Part):
    """The alarms that are raised now (`raised`), and their latest changes (`changes`).

    `used` returns how many records of each bound exist, by the name in `limits`. `sick`: the sick MCPs, each with a text.
    `fault` returns in words why an MCP is gone, "" if that is not known. `longer` returns the links over which discovery
    frames take much longer, by name, each with a text.
    """

    def __init__(
        self,
        sitemap: SiteMap,
        policy: Policy,
        presence: ExpectedThings,
        counters: Counters,
        used: Callable[[], Mapping[str, int]],
        sick: Mapping[McpId, str],
        fault: Callable[[McpId], str],
        longer: Callable[[], Mapping[str, str]],
    ) -> None:
        self._map = sitemap
        self._policy = policy
        self._presence = presence
        self._counters = counters
        self._used = used
        self._sick = sick
        self._fault = fault
        self._longer = longer
        self._due = -NEVER
        self._accesses, self._mcps = FallbackWatch(), FallbackWatch()
        self._totals: dict[AlarmKey, tuple[int, float]] = {}  # a total, and when it grew last
        self._well: dict[AlarmKey, float] = {}  # since when a lost thing is back
        self.raised: dict[AlarmKey, Alarm] = {}
        self.changes: deque[AlarmChange] = deque(maxlen=CHANGES)
        self.told = 0  # number of changes so far

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        self._policy = policy
        return []

    def due(self) -> float:
        return self._due

    def tick(self, now: float) -> list[Output]:
        self._due = now + PERIOD
        bad = dict(
            [
                *self._lost(now), *self._ill(), *self._fallbacks(now), *self._reached(now), *self._faults(now),
                *self._near(),
            ]
        )  # fmt: skip
        for key in [key for key in self.raised if key not in bad]:
            if key[0] in _STEADY and now - self._well.setdefault(key, now) < self._policy.alarms.steady:
                continue
            self._well.pop(key, None)
            self._change(False, self.raised.pop(key))
        for key, text in bad.items():
            self._well.pop(key, None)
            known = self.raised.get(key)
            if known is not None:
                self.raised[key] = known._replace(text=text)  # its figures are those of now
            elif len(self.raised) < MOST:
                self.raised[key] = Alarm(*key, text, now)
                self._change(True, self.raised[key])
        return []

    def _change(self, raised: bool, alarm: Alarm) -> None:
        self.told += 1
        self.changes.append(AlarmChange(self.told, raised, alarm))

    def _lost(self, now: float) -> Iterator[tuple[AlarmKey, str]]:
        missing, never = self._presence.missing, self._presence.never
        names = ThingNames(self._map) if missing else None
        for thing, since in missing.items():
            if names is None or now - since < (NEVER_AFTER if thing in never else LOST_AFTER):
                continue
            kind, text = _LOST[thing.kind]
            name, port = names.of(thing)
            if thing.kind is ThingKind.MCP and isinstance(thing.key, int):
                text = self._fault(McpId(thing.key)) or text
            yield (kind, f"{name} {port}" if thing.kind is ThingKind.ATTACHMENT else name), text

    def _ill(self) -> Iterator[tuple[AlarmKey, str]]:
        for number, text in self._sick.items():
            if number in self._map.mcps:
                yield (AlarmKind.MCP_SICK, self._map.mcps[number].name), text
        for name, text in self._longer().items():
            yield (AlarmKind.LINK_LONGER, name), text

    def _fallbacks(self, now: float) -> Iterator[tuple[AlarmKey, str]]:
        terms, counters = self._policy.alarms, self._counters
        self._accesses.look(by_access(self._map, counters), terms, now)
        self._mcps.look(by_mcp(self._map, counters), terms, now)
        for kind, watch in (
            (AlarmKind.FALLBACKS_ACCESS, self._accesses),
            (AlarmKind.FALLBACKS_MCP, self._mcps),
        ):
            for name, text in watch.bad.items():
                yield (kind, name), text

    def _reached(self, now: float) -> Iterator[tuple[AlarmKey, str]]:
        counters = self._counters
        for kind, times in counters.limits_reached.items():
            key = (AlarmKind.QUOTA_REACHED, kind)
            if self._grew_lately(key, times, now):
                yield key, f"a quota of this kind was reached, {times} times in all"
        for of, copies in counters.copies_lost.items():
            key = (AlarmKind.COPIES_LOST, " ".join(of))
            if self._grew_lately(key, copies, now):
                yield key, f"{copies} copies in all were not let through by their meter"

    def _faults(self, now: float) -> Iterator[tuple[AlarmKey, str]]:
        faults = self._counters.work_faults
        for work, times in faults.count.items():
            key = (AlarmKind.WORK_FAULT, work.value)
            if self._grew_lately(key, times, now):
                text = f"an unexpected {faults.types[work]} ended a turn, {times} times in all; the log says where"
                yield key, text

    def _grew_lately(self, key: AlarmKey, total: int, now: float) -> bool:
        """Whether a total has grown within the window."""
        before, last = self._totals.get(key, (0, -NEVER))
        if total > before:
            last = now
            self._totals[key] = (total, now)
        return now - last < self._policy.alarms.window

    def _near(self) -> Iterator[tuple[AlarmKey, str]]:
        terms = self._policy.alarms
        for name, used in self._used().items():
            most = getattr(self._policy.limits, name)
            key = (AlarmKind.TABLE_NEAR_BOUND, name)
            if used >= most * terms.table * (terms.clear if key in self.raised else 1):
                yield key, f"{used} of {most} are used"
