"""What every feature of the engine offers. The engine knows features only as parts, in one list, and loops over them.

A feature is a class that inherits from `Part`, writes the methods it needs, and is registered in
`steering.core.features`, or in `steering.core.engine` where it leans on others. What it does not write does nothing.
`docs/design/parts.rst` shows one from its file to its registration.
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
ALWAYS, NEVER = -inf, inf  # times of a next wish


class McpsChange(NamedTuple):
    """The site has other MCPs now; the site index and the graph have them already, the parts take the change.

    `before`: what hung at each port until now. `gone`: ids of MCPs that are none any more. `others`: ids of MCPs that
    stay and are others to their sessions (model.network.is_other). `down`: ports of MCPs whose link is known to be
    down, since no switch tells that a second time.
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
        """From attachments and MCPs (by id) that were, to the MCPs that are."""
        gone = tuple(number for number in known if number not in after)
        others = frozenset(n for n, mcp in after.items() if n in known and is_other(known[n], mcp))
        ports = {port for mcp in after.values() for port in (mcp.inside, mcp.outside)}
        return cls(before, gone, others, frozenset(filter(is_down, ports)))


class DesiredRules(NamedTuple):
    """What one switch should hold of one part. A switch that is filled gets the meters first, then `forwarding`
    (tables LABEL and HOST), and `admission` (all other tables) only when it can forward. Only parts that send their
    changes themselves, or hand over pieces, may have meters."""

    meters: tuple[MeterBand, ...] = ()
    forwarding: tuple[Rule, ...] = ()
    admission: tuple[Rule, ...] = ()


NOTHING = DesiredRules()


class Part:
    """One feature. Methods return outputs; the engine leaves out rule changes and frames for a switch that is not
    filled, since what such a switch should hold comes with its filling."""

    changed: bool = False
    """Set by a part whose `desired` is another than before; the engine brings the switches in line and clears it."""

    sends_changes: ClassVar[bool] = False
    """True: the part sends the changes of its rules itself, and `desired` is asked only to fill a switch."""

    in_pieces: ClassVar[bool] = False
    """True: the part hands over its rules in pieces of its own and touches those that change; `changed` says nothing
    of them, and `desired` has no rules, but the meters that a switch is filled with."""

    keeps: ClassVar[Piece | None] = None
    """The piece of the kept state (a file of the state directory) that `snapshot` is in; None: it keeps nothing."""

    def takes(self) -> Mapping[type[Input], Handler]:
        """The inputs that only this part takes, each with its handler: a function of the input and the time."""
        return {}

    def policy_replaced(self, policy: Policy, now: float) -> list[Output]:
        """Another policy is in force; live sessions keep their MCP. The engine then brings the switches in line with
        the parts that are `changed`."""
        return []

    def mcps_changed(self, change: McpsChange, now: float) -> list[Output]:
        """The site has other MCPs now. The engine then brings the switches in line with the parts that are `changed`."""
        return []

    def desired(self, dpid: DatapathId) -> DesiredRules:
        """Meters and static rules that a switch should hold of this part now."""
        return NOTHING

    def filled(self, dpid: DatapathId) -> None:
        """A switch is about to get all that was desired of it, and its meters anew."""

    def synced(self, outputs: list[Output], finished: bool) -> list[Output]:
        """These changes of desired rules are about to leave; a part may ask for their confirmation. `finished`: with
        them the switches are what they should be, and no further ones are under way."""
        return outputs

    def due(self) -> float:
        """The time, in seconds, at which `tick` is to be called next. A part that does not write this is called at
        every tick."""
        return ALWAYS

    def tick(self, now: float) -> list[Output]:
        """Time has passed: at most some twenty times a second, and not before `due`."""
        return []

    @property
    def revision(self) -> int:
        """A number that is another whenever `snapshot` is."""
        return 0

    def snapshot(self, now: float) -> KeptState:
        """What has to outlive this controller: only the fields of this part are set."""
        return KeptState()

    def restore(self, kept: KeptState, now: float) -> dict[LostPiece, int]:
        """Take back what an earlier controller kept, before any switch connects. Returns how much of it could not
        be."""
        return {}

    def recovered(self, now: float) -> list[Output]:
        """Every switch has told of its sessions after a restart, or had the time to."""
        return []


class Turn(Part):
    """Something of the engine's own that is called in the parts' order."""

    def __init__(self, act: Callable[[float], list[Output]], due: Callable[[], float]) -> None:
        self._act = act
        self._due = due

    def due(self) -> float:
        return self._due()

    def tick(self, now: float) -> list[Output]:
        return self._act(now)


class Parts:
    """All parts, in the order in which they are told of what happens."""

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
        """The handler of each input that a part takes. Raises ValueError where two parts want the same one."""
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
        """Tick the parts whose time has come."""
        return [
            output for part, due in self._ticking if due is None or due() <= now for output in part.tick(now)
        ]

    def followed(self) -> list[Part]:
        """The parts whose `desired` rules the engine follows."""
        return [part for part in self._desiring if not part.sends_changes and not part.in_pieces]

    def take_changed(self) -> list[Part]:
        """The parts that want other rules than before; this call clears their marks."""
        changed = [part for part in self.all if part.changed]
        for part in changed:
            part.changed = False
        return changed

    def filling(self, dpid: DatapathId) -> DesiredRules:
        """What a switch that is being filled should hold of all parts that are not followed."""
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
        """How much could not be taken back, by kind; kinds with none are left out."""
        lost: Counter[LostPiece] = Counter()
        for part in self.all:
            lost += Counter(part.restore(kept, now))
        return lost

    def recovered(self, now: float) -> list[Output]:
        return [output for part in self.all for output in part.recovered(now)]
