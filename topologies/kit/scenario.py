"""What a scenario is to `steering lab`: a name, what it shows, a plan, and a function that runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from topologies.kit.plan import Plan
from topologies.kit.report import Progress, Report

# What `steering run --disable` knows. A scenario may name further controls that its own run takes away
# (a relay's option, an entry, a signal); those never reach the controller.
MECHANISMS = {
    "steering": "nothing is punted: natural routing only",
    "token-lookup": "joins are decided anew, as if they were initial subflows",
    "un-wildcarding": "a natural flow in the switch's cache may carry segments of other 5-tuples",
    "hold-queue": "joins whose token is not known yet are forwarded the natural way at once",
    "redaction": "subscribers are shown by their own names",
    "stray-drop": "a join with an unknown token is asked about each time it is repeated",
    "pool-routes": "no route leads what comes back to a pool to the MCP that gives it",
    "reservations": "what is reserved is answered for, and not enforced",
    "option-bypass": "a SYN is steered whatever other options it carries",
    "ratio-limits": "a ratio is known, and no MCP is told of it",
    "flood-meters": "a flooded port's meter lets through what it always does",
    "keeping": "a controller that starts does not read what an earlier one kept",
    "read-back": "a controller that starts takes no session from the entries that it finds",
    "old-paths": "labels follow new link weights at once, under live sessions too",
    "address-probes": "an address belongs to whoever claimed it last, by ARP or neighbour discovery",
    "wrong-mcp": "joins are pinned to another MCP than their session's",
    "proactive": "no entries are set ahead: every SYN is looked at",
    "one-mcp": "entries set ahead lead each prefix of a subscriber to an MCP of its own",
}


@dataclass(frozen=True)
class Options:
    """How a scenario is run. `seconds` and `sessions` are 0 for the scenario's own."""

    say: Progress
    without: tuple[str, ...] = ()
    seconds: float = 0.0
    sessions: int = 0
    prompt: bool = False
    keep: bool = False


@dataclass(frozen=True)
class Scenario:
    """`figure` is what of the drafts it draws, `rows` the requirements it bears on.

    `controls` are its negative controls, mechanism -> what is then missing: run without one of them some
    check must fail. `alone`: its checks are of times so short that nothing else may run beside it. `variants`:
    further networks that it runs on, each by a name of its own.
    """

    name: str
    figure: str
    rows: tuple[str, ...]
    summary: str
    plan: Plan
    run: Callable[[Options, Report], None]
    controls: Mapping[str, str]
    alone: bool = False
    variants: Mapping[str, Plan] = field(default_factory=dict)

    def networks(self) -> dict[str, Plan]:
        """Every network of the scenario by the name that `mn --topo` takes; its own by the scenario's name."""
        return {self.name: self.plan, **self.variants}


def controls(*mechanisms: str, **own: str) -> dict[str, str]:
    """Negative controls: mechanisms of the controller by name, a scenario's own as `name_in_words="what is missing"`.

    Raises KeyError for a name that the controller does not know.
    """
    return {name: MECHANISMS[name] for name in mechanisms} | {k.replace("_", "-"): v for k, v in own.items()}
