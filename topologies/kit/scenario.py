"""A scenario as `steering lab` sees it: a name, what it shows, a plan, and a function that runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from steering.model.mechanism import Mechanism
from topologies.kit.plan import Plan
from topologies.kit.records import Keep
from topologies.kit.report import Progress, Report


@dataclass(frozen=True)
class Options:
    """How a scenario is run. With 0 for `seconds` or `sessions` the scenario takes its own number."""

    say: Progress
    without: tuple[str, ...] = ()
    seconds: float = 0.0
    sessions: int = 0
    prompt: bool = False
    keep: Keep = Keep.NOTHING


@dataclass(frozen=True)
class Breaks:
    """The names of the checks that fail where one mechanism is missing.

    Checks of `must` fail in every run without the mechanism: one that holds does not notice the fault for which it was
    written. Checks of `may` fail in some runs, depending on timing or on how far the run got. No other check may fail,
    except those of rates, which depend on how busy the machine is.
    """

    must: frozenset[str]
    may: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scenario:
    """`figure`: the figure of the drafts that it builds. `rows`: ids of the requirements that it shows.

    `controls`: its negative controls, mechanism -> what is missing without it. When the scenario runs without one of
    them, some checks must fail; `breaks` says which. `alone`: its checks are about times so short that no other lab
    may run beside it. `variants`: further networks on which it runs, by name.
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
    breaks: Mapping[str, Breaks] = field(default_factory=dict)

    def networks(self) -> dict[str, Plan]:
        """All networks of the scenario, by the name that `mn --topo` takes. Its main network has the scenario's
        name."""
        return {self.name: self.plan, **self.variants}


def controls(*mechanisms: str, **own: str) -> dict[str, str]:
    """Make negative controls: `mechanisms` of the controller by name, and the scenario's own as `name_in_words="what
    is missing"`.

    A control of the scenario's own is something that its `run` leaves out: an option of a relay, an entry, a signal.
    The controller is not told of it. Raises ValueError for a mechanism that the controller does not know.
    """
    return {name: Mechanism(name).without for name in mechanisms} | {
        k.replace("_", "-"): v for k, v in own.items()
    }
