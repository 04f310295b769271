"""The interface between the engine and its features. The engine knows features only as parts, and loops over a list of
them.

A feature is a class that inherits from `Part`, overrides the methods that it needs, and is registered in
`steering.core.features`. If it depends on other features, it is registered in `steering.core.engine`. Methods that are not
overridden do nothing. `docs/design/parts.rst` shows a feature from its file to its registration.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import ClassVar, NamedTuple

from steering.core.inputs import Input
from steering.core.outputs import Output
from steering.model.ids import DatapathId, McpId
from steering.model.kept import KeptState, LostPiece, Piece
from steering.model.network import Attachment, Mcp, PortRef, is_other
from steering.model.policy import Policy
from steering.model.rules import MeterBand, Rule

Handler = Callable[..., list[Output]]
ALWAYS, NEVER = -inf, inf  # results of `due`


class McpsChange(NamedTuple):
    """A change of the site's MCPs. The site index and the graph have the new MCPs already.

    `before`: the attachments until now, by port. `gone`: ids of MCPs that were removed. `others`: ids of MCPs that stay,
    but whose sessions cannot stay (model.network.is_other). `down`: ports of MCPs that have no link. The parts need `down`
    because a switch reports a lost link only once.
    """

    before: Mapping[PortRef, Attachment]
    gone: tuple[McpId, ...]
    others: frozenset[McpId]
    down: frozenset[PortRef]

    @classmethod
    def between(
        cls,
        before: Mapping[PortRef, Attachment],
        known: Mapping[McpId, Mcp],
        after: Mapping[McpId, Mcp],
        is_down: Callable[[PortRef], bool],
    ) -> "McpsChange":
        """The change from attachments and MCPs `before` and `known` to MCPs `after`. MCPs are given by id."""
        gone = tuple(number for number in known if number not in after)
        others = frozenset(n for n, mcp in after.items() if n in known and is_other(known[n], mcp))
        ports = {port for mcp in after.values() for port in (mcp.inside, mcp.outside)}
        return cls(before, gone, others, frozenset(filter(is_down, ports)))


class DesiredRules(NamedTuple):
    """The rules and meters of one part at one switch. A filling writes the meters first, then `forwarding` (tables LABEL
    and HOST), and last `admission` (all other tables). Only parts that set `sends_changes` or `in_pieces` may have
    meters."""

    meters: tuple[MeterBand, ...] = ()
    forwarding: tuple[Rule, ...] = ()
    admission: tuple[Rule, ...] = ()


NOTHING = DesiredRules()


class Part:
    """One feature. Methods return outputs. The engine drops rule changes and frames for a switch that is not filled,
    because such a switch gets all its rules with its filling."""

    changed: bool = False
    """A part sets this when its `desired` rules have changed. The engine then changes the switches' rules, and clears it."""

    sends_changes: ClassVar[bool] = False
    """True: the part sends the changes of its rules itself, and `desired` is called only to fill a switch."""

    in_pieces: ClassVar[bool] = False
    """True: the part gives its rules to core.pipeline.reconcile in pieces, and touches the pieces that change. Then
    `changed` does not concern these rules, and `desired` returns only the meters for filling a switch."""

    keeps: ClassVar[Piece | None] = None
    """The piece of the kept state (a file of the state directory) to which `snapshot` belongs. None: it keeps nothing."""

    def takes(self) -> Mapping[type[Input], Handler]:
        """The inputs that only this part handles, each with its handler: a function of the input and the time."""
        return {}

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Another policy is in force. Live sessions keep their MCP. Afterwards the engine changes the rules of the parts
        that are `changed`."""
        return []

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs now. Afterwards the engine changes the rules of the parts that are `changed`."""
        return []

    def desired(self, dpid: DatapathId) -> DesiredRules:
        """The meters and static rules of this part that a switch should hold now."""
        return NOTHING

    def filled(self, dpid: DatapathId) -> None:
        """A switch is about to be filled with all desired rules and meters."""

    def synced(self, outputs: list[Output], finished: bool) -> list[Output]:
        """Changes of desired rules are about to leave. A part may ask for their confirmation by changing `outputs`.
        `finished`: no further changes are under way."""
        return outputs

    def due(self) -> float:
        """The engine time, in seconds, at which `tick` is to be called next. If a part does not override this method, its
        `tick` is called at every tick."""
        return ALWAYS

    def tick(self, now: float) -> list[Output]:
        """Time has passed. It is called at most some twenty times a second, and not before `due`."""
        return []

    @property
    def revision(self) -> int:
        """A number that changes whenever `snapshot` would return something else."""
        return 0

    def snapshot(self, now: float) -> KeptState:
        """The state that has to outlive this controller. Only the fields of this part are set."""
        return KeptState()

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        """Restore the kept state of an earlier controller, before any switch connects. Returns the numbers of records that
        could not be restored."""
        return {}

    def recovered(self, now: float) -> list[Output]:
        """After a restart, the entries of all switches were read, or the time for that is over."""
        return []


class Turn(Part):
    """A part that calls functions of the engine itself, at a place in the order of parts."""

    def __init__(self, act: Callable[[float], list[Output]], due: Callable[[], float]) -> None:
        self._act = act
        self._due = due

    def due(self) -> float:
        return self._due()

    def tick(self, now: float) -> list[Output]:
        return self._act(now)


class Parts:
    """All parts, in the order in which the engine calls them."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self.all = tuple(parts)
        # Each with its `due`, None for one that is called at every tick.
        self._ticking = [
            (part, None if type(part).due is Part.due else part.due)
            for part in self.all
            if type(part).tick is not Part.tick
        ]
        self._syncing = [part for part in self.all if type(part).synced is not Part.synced]
        self._desiring = [part for part in self.all if type(part).desired is not Part.desired]

    def __iter__(self) -> Iterator[Part]:
        return iter(self.all)

    def takes(self) -> dict[type[Input], Handler]:
        """The handler of each input that a part takes. Raises ValueError if two parts take the same input."""
        found: dict[type[Input], Handler] = {}
        for part in self.all:
            taken = part.takes()
            if twice := found.keys() & taken.keys():
                raise ValueError(
                    f"{type(part).__name__} is not alone in taking {sorted(t.__name__ for t in twice)}"
                )
            found |= taken
        return found

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        return [output for part in self.all for output in part.policy_replaced(policy, now)]

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        return [output for part in self.all for output in part.mcps_changed(change, now)]

    def tick(self, now: float) -> list[Output]:
        """Call `tick` of the parts that are due."""
        return [
            output for part, due in self._ticking if due is None or due() <= now for output in part.tick(now)
        ]

    def followed(self) -> list[Part]:
        """The parts whose `desired` rules the engine compares with what switches hold."""
        return [part for part in self._desiring if not part.sends_changes and not part.in_pieces]

    def take_changed(self) -> list[Part]:
        """The parts that are `changed`. The call clears their marks."""
        changed = [part for part in self.all if part.changed]
        for part in changed:
            part.changed = False
        return changed

    def filling(self, dpid: DatapathId) -> DesiredRules:
        """The rules and meters of all parts that are not `followed`, for a switch that is being filled."""
        meters: list[MeterBand] = []
        forwarding: list[Rule] = []
        admission: list[Rule] = []
        for part in self.all:
            part.filled(dpid)
        for part in self._desiring:
            if not part.sends_changes and not part.in_pieces:
                continue
            desired = part.desired(dpid)
            meters += desired.meters
            forwarding += desired.forwarding
            admission += desired.admission
        return DesiredRules(tuple(meters), tuple(forwarding), tuple(admission))

    def synced(self, outputs: list[Output], finished: bool) -> list[Output]:
        for part in self._syncing:
            outputs = part.synced(outputs, finished)
        return outputs

    def restore(self, kept: KeptState, now: float) -> Counter[LostPiece]:
        """Restore all parts. Returns the numbers of records that could not be restored, without zeros."""
        lost: Counter[LostPiece] = Counter()
        for part in self.all:
            lost += Counter(part.restore(kept, now))
        return lost

    def recovered(self, now: float) -> list[Output]:
        return [output for part in self.all for output in part.recovered(now)]
