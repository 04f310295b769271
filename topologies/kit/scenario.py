"""What a scenario is to `steering lab`: a name, what it shows, a plan, and a function that runs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from steering.model.mechanism import Mechanism
from topologies.kit.plan import Plan
from topologies.kit.report import Progress, Report


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
class Breaks:
    """The checks that fail where one mechanism is missing, by name.

    `must` fail in every run, so a check of them that holds does not see what it is there for. `may` fail in some:
    they hang on the moment, or on how far the run got. No other may fail, but for rates, which a busy machine costs.
    """

    must: frozenset[str]
    may: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Scenario:
    """`figure` is what of the drafts it draws, `rows` the requirements it bears on.

    `controls` are its negative controls, mechanism -> what is then missing: run without one of them some
    check must fail, and `breaks` says which. `alone`: its checks are of times so short that nothing else may run beside it. `variants`:
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
    breaks: Mapping[str, Breaks] = field(default_factory=dict)

    def networks(self) -> dict[str, Plan]:
        """Every network of the scenario by the name that `mn --topo` takes; its own by the scenario's name."""
        return {self.name: self.plan, **self.variants}


def controls(*mechanisms: str, **own: str) -> dict[str, str]:
    """Negative controls: mechanisms of the controller by name, a scenario's own as `name_in_words="what is missing"`.

    A scenario's own are what its run takes away (a relay's option, an entry, a signal); the controller never hears of
    them. Raises ValueError for a name that the controller does not know.
    """
    return {name: Mechanism(name).without for name in mechanisms} | {
        k.replace("_", "-"): v for k, v in own.items()
    }
