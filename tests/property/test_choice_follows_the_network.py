"""Nothing that the chooser remembers outlives what it was right for: after each of thousands of random events every choice is that
of an exhaustive decision over a graph, distances, filters and loads that are made anew from what is so now."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from steering.core.inputs import (
    LinkDown,
    LinkUp,
    LinkWeighed,
    McpAdmin,
    McpReport,
    McpsReplaced,
    PolicyReplaced,
    PortLoad,
)
from steering.core.network.graph import Graph
from steering.core.network.link_cost import slope
from steering.core.network.loaded_paths import LoadedPaths
from steering.core.selection.scoring import candidates, effective
from steering.model.decision import Decision, DecisionKey, FilterReason
from steering.model.ids import McpId
from steering.model.network import Gateway, Link, PortRef, Site
from steering.model.policy import Fallback, Policy, Terms, Weights
from tests.support.exhaustive_decision import decide_exhaustively
from tests.support.sites import Driver, capable, firsts, link, mcp, nets, off_path_site, packed

STEPS = 2_800
PREFIXES = ("10.9.0.0/24", "fd00:9::/64")


def site() -> Site:
    """Seven switches in two rings, six MCPs (two at one switch), and servers behind any of three gateways."""
    places = ((3, 1), (3, 6), (5, 1), (6, 1), (7, 1), (7, 6))
    mcps = tuple(
        mcp(f"m{n}", PortRef(dpid, port), f"10.8.{n}.2", capacity=8 + n // 2)
        for n, (dpid, port) in enumerate(places)
    )
    gateways = tuple(
        Gateway(f"g{dpid}", nets(*PREFIXES), (PortRef(dpid, 9),), firsts(*PREFIXES)) for dpid in (4, 6, 7)
    )
    links = (
        link("1:2", "3:2"), link("3:3", "4:2"), link("2:2", "4:3"), link("4:4", "5:2"), link("5:3", "6:2"),
        link("6:3", "7:2"), link("7:3", "1:3"), link("2:3", "6:4"), link("3:4", "7:4", 2.0),
    )  # fmt: skip
    return off_path_site(mcps=mcps, gateways=gateways, links=links)


class World:
    """A controller's chooser, and what is so, told independently of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.site = site()
        self.policy = self._policy()
        self.driver = Driver(self.site, self.policy)
        self.down: set[Link] = set()
        self.use: dict[PortRef, float] = {}
        self.previous: dict[int, McpId] = {}
        self.terms = (Terms(), Terms(mcps=frozenset({"m0", "m3", "m5"})), Terms(max_stretch=1.5))

    def _policy(self) -> Policy:
        chance = self.chance
        weights = Weights(
            chance.choice((0.1, 1.0)), chance.choice((0.0, 0.1)), chance.choice((0.0, 0.5, 5.0))
        )
        hysteresis, fallback = chance.choice((0.0, 0.2, 1.0)), chance.choice(tuple(Fallback))
        return Policy(
            max_stretch=chance.choice((2.0, 100.0)), hysteresis=hysteresis, fallback=fallback, weights=weights
        )

    # ---- events -----------------------------------------------------------------------------------

    def happens(self) -> str:
        events: list[Callable[[], None]] = [
            self.begin, self.begin, self.begin, self.lose, self.restore, self.weigh, self.port_load,
            self.replace_policy, self.drain, self.report, self.sicken, self.replace_mcps,
        ]  # fmt: skip
        event = self.chance.choice(events) if self.chance.random() < 0.6 else self.end
        event()
        return event.__name__

    def begin(self) -> None:
        self.driver.table.active[self.chance.choice(self.site.mcps).id] += self.chance.choice((1, 1, 3))

    def end(self) -> None:
        number = self.chance.choice(self.site.mcps).id
        active = self.driver.table.active
        active[number] = max(0, active[number] - self.chance.choice((1, 2, 5)))

    def lose(self) -> None:
        one = self.chance.choice(self.site.links)
        if len(self.down) < 2:
            self.down.add(one)
            for a, b in ((one.a, one.b), (one.b, one.a)):
                self.driver.give(LinkDown(a, b))

    def restore(self) -> None:
        for one in tuple(self.down):
            self.down.discard(one)
            for a, b in ((one.a, one.b), (one.b, one.a)):
                self.driver.give(LinkUp(a, b))

    def weigh(self) -> None:
        one = self.chance.choice(self.site.links)
        self.driver.give(LinkWeighed(one.a, one.b, self.chance.choice((1.0, 3.0))))

    def port_load(self) -> None:
        one = self.chance.choice([one for one in self.site.links if one not in self.down])
        self.use[one.a] = self.chance.choice((0.0, 0.6, 0.95))
        self.driver.give(PortLoad(one.a.dpid, one.a.port, self.use[one.a]))

    def replace_policy(self) -> None:
        self.policy = self._policy()
        self.driver.give(PolicyReplaced(self.policy))

    def drain(self) -> None:
        self.driver.give(McpAdmin(self.chance.choice(self.site.mcps).id, self.chance.random() < 0.2))

    def report(self) -> None:
        load = self.chance.choice((None, 0.0, 0.25, 0.5, 1.0))
        self.driver.give(McpReport(self.chance.choice(self.site.mcps).id, self.chance.random() < 0.95, load))

    def sicken(self) -> None:
        chooser = self.driver.engine.chooser
        entrances = [
            at.waypoint.id for at in self.driver.engine.map.attachments.values() if not at.role.is_mcp
        ]
        health = chooser.health[self.chance.choice(self.site.mcps).id]
        health.sick = self.chance.random() < 0.05
        health.sick_at = frozenset(self.chance.sample(entrances, self.chance.choice((0, 1, 2))))
        chooser.refresh(self.driver.now)

    def replace_mcps(self) -> None:
        """Others, in another order: loads and reports are kept by place."""
        everyone = site().mcps
        kept = tuple(self.chance.sample(everyone, self.chance.choice((4, 5, 6))))
        self.site = self.driver.site = replace(self.site, mcps=kept)
        self.driver.give(McpsReplaced(kept))
        self.driver.mcps_answer()

    # ---- what is to come out -----------------------------------------------------------------------

    def wanted(self, terms: Terms, access: int, entrance: int, port: int, sport: int) -> Decision:
        """The decision, from nothing that was remembered."""
        engine, now = self.driver.engine, self.driver.now
        # An operator's weight takes effect when the flows on the link are seen to, so the links are the engine's own.
        graph = Graph(replace(self.site, links=tuple(engine.graph.links())))
        loaded = LoadedPaths(graph)
        for place, use in self.use.items():
            loaded.weigh(place, slope(use))
        excluded: dict[McpId, FilterReason] = {}
        reports = []
        for one in self.site.mcps:
            health = engine.chooser.health[one.id]
            why = health.filtered(now)
            if why is None and one.id in engine.neighbours.transit.unresolved(now):
                why = FilterReason.UNRESOLVED
            if why is None and entrance in health.sick_at:
                why = FilterReason.SICK
            if why is not None:
                excluded[one.id] = why
            reports.append(health.load(now))
        places = [p for gateway in self.site.gateways for p in gateway.ports]
        exit_ = min(places, key=lambda p: (graph.natural_cost(access, p.dpid), p))
        rules = effective(self.policy, terms)
        network = candidates(
            rules,
            graph,
            self.site.mcps,
            access,
            exit_.dpid,
            4,
            port,
            excluded,
            loaded if loaded.any else None,
        )
        loads = tuple(self.driver.table.active[one.id] for one in self.site.mcps)
        key = DecisionKey(packed("10.1.0.2"), packed("10.9.0.2"), sport, port, self.previous.get(access, 0))
        outside = tuple(reports) if any(reports) else ()
        return decide_exhaustively(rules, network, loads, outside, key, now)

    def chosen(self, terms: Terms, access: int, entrance: int, port: int, sport: int) -> Decision:
        engine = self.driver.engine
        flow = capable("10.1.0.2", sport, "10.9.0.2")._replace(dport=port)
        exits = engine.map.exits_to(flow.dst)
        assert len(exits) == 3
        return engine.chooser.choose(
            terms, access, exits, flow, self.driver.table.active, self.driver.now, entrance
        )


def test_no_choice_outlives_what_it_was_right_for() -> None:
    world = World(23)
    events: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for step in range(STEPS):
        events[world.happens()] += 1
        for access in (1, 2, 1):
            terms = world.chance.choice(world.terms)
            entrance = world.driver.engine.map.at[access, 1].waypoint.id
            asked = (terms, access, entrance, 443, world.chance.randrange(1_024, 65_536))
            said, wanted = world.chosen(*asked), world.wanted(*asked)
            assert said == wanted, (step, events)
            reasons[said.reason] += 1
            if said.mcp is not None:
                world.previous[access] = said.mcp.id
                world.driver.engine.chooser.chosen(access, said.mcp.id)
    assert len(events) == 11 and min(events.values()) > STEPS / 40, events
    assert set(reasons) == {"score", "hysteresis", "rendezvous", "only-candidate", "no-candidate"}, reasons
    assert min(reasons.values()) > 20, reasons
