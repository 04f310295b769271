"""Whatever changes, and however the work is sliced: switches end up with what a new controller would fill them with."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steering.core.engine import Engine
from steering.core.inputs import (
    AclReplaced,
    Confirmed,
    Continue,
    EntriesRead,
    Input,
    LinkWeighed,
    McpsReplaced,
    PairingsReplaced,
    PolicyReplaced,
    PortStatus,
    RegistryReplaced,
    SwitchUp,
    Tick,
)
from steering.core.outputs import FillSwitch, GoOn, SyncRules
from steering.core.pipeline.priorities import CORE
from steering.model.authorisation import AclEntry, Authorization, ListAnswer, RegistryEntry
from steering.model.network import Gateway, Interception, Link, PortRef, Site, VirtualAddress
from steering.model.policy import Policy
from steering.model.rules import (
    EPOCH_MASK,
    CookieKind,
    FailoverGroup,
    GroupAction,
    Rule,
    RuleKey,
    Table,
)
from tests.support.sites import access, firsts, mcp, nets

POLICIES = (
    Policy(),
    Policy(eligible_ports=((80, 80), (443, 443))),
    Policy(acl=(AclEntry("p", ListAnswer.DENY, nets("10.1.0.0/28")),)),
    Policy(authorization=Authorization(required=frozenset({"a2"}))),
)
LISTS = (
    AclReplaced(()),
    AclReplaced((AclEntry("a", ListAnswer.DENY, nets("10.2.0.0/28")),)),
    RegistryReplaced((RegistryEntry("s", True, nets("10.2.0.7/32")),)),
    RegistryReplaced(()),
    PairingsReplaced(frozenset({bytes([10, 1, 0, 9])})),
)


def a_site(chance: random.Random, size: int) -> Site:
    links, port = [], 100
    for n in range(2, size + 1):
        for peer in [chance.randrange(1, n) for _ in range(chance.choice([1, 2, 2]))]:
            links.append(Link(PortRef(n, port), PortRef(peer, port + 1), chance.choice([1.0, 1.0, 2.0])))
            port += 2

    def place(number: int) -> PortRef:
        return PortRef(chance.randint(1, size), number)

    accesses = tuple(access(f"a{n}", [place(n)], f"10.{n}.0.0/24") for n in (1, 2, 3))
    gateways = (
        Gateway("internet", nets("10.9.0.0/16"), (place(10), place(11)), firsts("10.9.0.0/16")),
        Gateway("other", nets("10.9.0.0/16", "10.99.0.0/16"), (place(12),), firsts("10.99.0.0/16")),
    )
    mcps = tuple(mcp(f"m{n}", place(20 + n), f"10.8.{n}.2") for n in (1, 2))
    if chance.random() < 0.5:
        ports = {"outside": place(30), "interception": Interception.SELF}
        mcps = (replace(mcps[0], **ports), *mcps[1:])
    virtual = (VirtualAddress(firsts("10.88.0.0/24")[0], tuple(one.id for one in mcps)),)
    names = {f"s{n}": n for n in range(1, size + 1)}
    return Site(accesses, gateways, mcps, tuple(links), switches=names, discover=False, virtual=virtual)


class Switches:
    """What an engine's outputs make of its switches; rules of hosts and of old paths left out."""

    def __init__(self, site: Site, policy: Policy, budget: int = 10_000) -> None:
        self.site = site
        self.engine = Engine(site, policy, epoch=7)
        self.engine.reconcile.budget = budget
        self.now = 0.0
        self.rules: dict[int, dict[RuleKey, Rule]] = {}
        self.groups: dict[int, dict[int, FailoverGroup]] = {}
        self.waiting: list[Confirmed] = []
        self.filling: set[int] = set()  # switches that told what they hold, and were not filled since
        self.going_on = False
        self.slices: list[list[SyncRules]] = []

    def do(self, given: Input) -> None:
        outputs = self.engine.handle(given, self.now)
        self.going_on |= any(isinstance(output, GoOn) for output in outputs)
        self.slices.append([output for output in outputs if isinstance(output, SyncRules)])
        for output in outputs:
            if isinstance(output, FillSwitch):
                self.filling.remove(output.dpid)
                filled = (*output.forwarding, *output.admission)
                self.rules[output.dpid] = {rule.key: rule for rule in filled}
                self.groups[output.dpid] = {group.group: group for group in output.groups}
            elif isinstance(output, SyncRules):
                assert output.dpid not in self.filling, "what changes meanwhile comes with the filling"
                held = self.rules[output.dpid]
                self.groups[output.dpid] |= {group.group: group for group in output.groups}
                for rule in output.add:
                    assert all(
                        one.group in self.groups[output.dpid]
                        for one in rule.actions
                        if isinstance(one, GroupAction)
                    )
                held |= {rule.key: rule for rule in output.add}
                for rule in output.delete:
                    del held[rule.key]
                if output.confirm:
                    self.waiting.append(Confirmed(output.dpid, output.confirm))

    def up(self, dpid: int, ports: dict[int, bool]) -> None:
        self.do(SwitchUp(dpid, ports))

    def fill(self, dpid: int) -> None:
        self.filling.add(dpid)
        self.do(EntriesRead(dpid, [], []))

    def go_on(self, chance: random.Random, until_done: bool) -> None:
        while self.going_on and (until_done or chance.random() < 0.7):
            self.going_on = False
            self.do(Continue() if chance.random() < 0.8 else Tick())

    def settle(self, chance: random.Random) -> None:
        """Time goes by until all stages of all changes are over."""
        for _ in range(12):
            self.go_on(chance, True)
            for told in self.waiting:
                self.do(told)
            self.waiting = []
            self.now += 1.1
            self.do(Tick())
        self.go_on(chance, True)
        assert not self.filling
        assert self.engine.old_paths.settled and not self.engine.old_paths.kept

    def held(self) -> dict[int, set[Rule]]:
        """Rules without the epoch that says how often a switch was filled."""
        return {
            dpid: {
                replace(rule, cookie=rule.cookie & ~EPOCH_MASK)
                for rule in rules.values()
                if rule.cookie >> 52 & 0xF != CookieKind.HOST and rule.table is not Table.HOST
            }
            for dpid, rules in self.rules.items()
        }


def ports_of(site: Site, dpid: int, down: set[PortRef]) -> dict[int, bool]:
    ends = [end for link in site.links for end in (link.a, link.b)]
    parts = [p for a in site.access_networks for p in a.ports] + [p for g in site.gateways for p in g.ports]
    mcps = [p for one in site.mcps for p in (one.inside, one.outside)]
    return {p.port: p not in down for p in (*ends, *parts, *mcps) if p.dpid == dpid}


class Story:
    """Random changes, given to one engine as they come; `fresh` is one that knows nothing but how it ended."""

    def __init__(self, chance: random.Random, size: int, budget: int) -> None:
        self.chance = chance
        self.site = a_site(chance, size)
        self.policy = chance.choice(POLICIES)
        self.down: set[PortRef] = set()
        self.weights: dict[Link, float | None] = {}
        self.lists: dict[type, Input] = {}
        self.dpids = list(range(1, size + 1))
        self.made = Switches(self.site, self.policy, budget)
        for dpid in self.dpids:
            self.made.up(dpid, ports_of(self.site, dpid, self.down))
            self.made.fill(dpid)

    def change(self) -> None:
        chance, made = self.chance, self.made
        kind = chance.randrange(10)
        if kind < 4:
            port = chance.choice([end for link in self.site.links for end in (link.a, link.b)])
            (self.down.discard if port in self.down else self.down.add)(port)
            made.do(PortStatus(port.dpid, port.port, port not in self.down, False))
        elif kind == 4:
            link, weight = chance.choice(self.site.links), chance.choice([None, 0.5, 3.0])
            self.weights[link] = weight
            made.do(LinkWeighed(link.a, link.b, weight))
        elif kind == 5:
            self.policy = chance.choice(POLICIES)
            made.do(PolicyReplaced(self.policy))
        elif kind == 6:
            given = chance.choice(LISTS)
            self.lists[type(given)] = given
            made.do(given)
        elif kind == 7:
            kept = self.site.mcps[: chance.choice([1, 2])]
            kept += (mcp("m9", PortRef(chance.choice(self.dpids), 29), "10.8.9.2"),)
            shared = {number for virtual in self.site.virtual for number in virtual.mcps}
            if shared <= {one.id for one in kept}:
                self.site = replace(self.site, mcps=kept)
                made.do(McpsReplaced(kept))
        else:
            for dpid in chance.sample(self.dpids, 1 if kind == 8 else len(self.dpids) // 2):
                made.up(dpid, ports_of(self.site, dpid, self.down))
                made.go_on(chance, False)
                made.fill(dpid)
        made.go_on(chance, False)

    def fresh(self) -> Switches:
        fresh = Switches(self.site, self.policy)
        for one in self.lists.values():
            fresh.do(one)
        for link, weight in self.weights.items():
            fresh.do(LinkWeighed(link.a, link.b, weight))
        for dpid in self.dpids:
            fresh.up(dpid, ports_of(self.site, dpid, set()))
        for port in self.down:
            fresh.do(PortStatus(port.dpid, port.port, False, False))
        for dpid in self.dpids:
            fresh.fill(dpid)
        fresh.settle(random.Random(1))
        return fresh


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 8), st.integers(1, 8), st.sampled_from([1, 20, 10_000]))
def test_after_any_changes_switches_hold_what_a_new_controller_would_fill_them_with(
    seed, size, changes, budget
):
    story = Story(random.Random(seed), size, budget)
    for _ in range(changes):
        story.change()
    story.made.settle(story.chance)
    fresh = story.fresh()
    assert story.made.held() == fresh.held()
    # Groups of ports that lead nowhere now stay.
    assert all(groups.items() <= story.made.groups[dpid].items() for dpid, groups in fresh.groups.items())


def made_pieces(switches: Switches) -> list[tuple[str, int]]:
    """From now on: each piece that is made again, and its switch."""
    made: list[tuple[str, int]] = []
    reconcile = switches.engine.reconcile
    for piece, make in list(reconcile._makers.items()):

        def noted(dpid, piece=piece, make=make):
            made.append((piece, dpid))
            return make(dpid)

        reconcile.register(piece, noted)
    return made


def filled(site: Site, policy: Policy, budget: int = 10_000) -> Switches:
    made = Switches(site, policy, budget)
    for dpid in site.switches.values():
        made.up(dpid, ports_of(site, dpid, set()))
        made.fill(dpid)
    made.settle(random.Random(1))
    return made


def test_a_list_or_policy_touches_only_the_pieces_that_depend_on_it():
    site = a_site(random.Random(5), 8)
    switches = filled(site, POLICIES[3])
    made = made_pieces(switches)
    switches.do(PairingsReplaced(frozenset({bytes([10, 1, 0, 9])})))
    assert not made, "no rule depends on which devices are paired"
    switches.do(RegistryReplaced((RegistryEntry("s", True, nets("10.2.0.7/32")),)))
    (required,) = (a.ports[0].dpid for a in site.access_networks if a.name == "a2")
    assert made == [("guard", required)]
    made.clear()
    switches.do(AclReplaced((AclEntry("a", ListAnswer.DENY, nets("10.2.0.0/28")),)))
    accesses = {a.ports[0].dpid for a in site.access_networks}
    assert {piece for piece, _ in made} == {"guard"} and {dpid for _, dpid in made} == accesses
    made.clear()
    switches.do(PolicyReplaced(replace(POLICIES[3], max_stretch=9.0)))
    assert not made, "where an MCP may stand is no rule of a switch"


def test_a_lost_link_makes_no_piece_of_a_switch_that_does_not_depend_on_it():
    site = a_site(random.Random(5), 8)
    switches = filled(site, Policy())
    made = made_pieces(switches)
    link = site.links[0]
    switches.do(PortStatus(link.a.dpid, link.a.port, False, False))
    assert {piece for piece, _ in made} <= {"core ports", "nearest routes", "detours"}
    assert {dpid for piece, dpid in made if piece == "core ports"} == {link.a.dpid, link.b.dpid}


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("budget", [1, 20, 10_000])
def test_a_link_that_returns_is_let_in_at_its_ends_before_any_label_leads_over_it(budget):
    site = a_site(random.Random(5), 8)
    switches = filled(site, Policy(), budget)
    opened = 0
    for link in site.links:
        switches.do(PortStatus(link.a.dpid, link.a.port, False, False))
        switches.settle(random.Random(1))
        switches.slices.clear()
        switches.do(PortStatus(link.a.dpid, link.a.port, True, False))
        switches.settle(random.Random(1))
        added = [
            (at, sync.dpid, rule)
            for at, one in enumerate(switches.slices)
            for sync in one
            for rule in sync.add
        ]
        let_in = [at for at, _, rule in added if rule.priority == CORE]
        led = [at for at, _, rule in added if rule.table is Table.LABEL]
        assert {dpid for _, dpid, rule in added if rule.priority == CORE} == {link.a.dpid, link.b.dpid}
        assert not led or max(let_in) < min(led)
        opened += bool(led)
    assert opened > 3


def test_switches_of_gateways_come_first_and_slices_are_small():
    site = a_site(random.Random(5), 8)
    switches = filled(site, Policy(), budget=1)
    gateways = {port.dpid for gateway in site.gateways for port in gateway.ports}
    switches.slices.clear()
    switches.do(PolicyReplaced(POLICIES[1]))
    switches.go_on(random.Random(1), True)
    changed = [sync.dpid for slice_ in switches.slices for sync in slice_]
    assert all(len(slice_) <= 1 for slice_ in switches.slices) and len(changed) > 2
    first = [dpid in gateways for dpid in changed]
    assert first == sorted(first, reverse=True) and True in first and False in first


def test_distances_looked_at_count_even_where_no_route_becomes_another():
    switches = filled(a_site(random.Random(5), 8), Policy())
    reconcile, looks = switches.engine.reconcile, switches.engine.natural._routes.looks
    made = made_pieces(switches)
    reconcile.budget = 2 * looks
    reconcile.touch("nearest routes", switches.site.switches.values())
    slices: list[int] = []
    while reconcile.busy:
        reconcile.step()
        slices.append(len(made) - sum(slices))
    assert looks >= 5 and sum(slices) == 8 and max(slices) <= 2


def test_the_first_rule_of_another_weight_does_not_wait_for_all_others():
    site = a_site(random.Random(5), 8)
    switches = filled(site, Policy(), budget=1)
    reconcile = switches.engine.reconcile
    seen: list[bool] = []
    for link in site.links:
        switches.slices.clear()
        switches.do(LinkWeighed(link.a, link.b, 50.0))
        switches.now += 0.1
        switches.do(Tick())
        while not any(switches.slices) and reconcile.busy:
            switches.do(Continue())
        if any(switches.slices):
            seen.append(bool(reconcile._jobs))
        switches.going_on = True
        switches.settle(random.Random(1))
        switches.do(LinkWeighed(link.a, link.b, None))
        switches.settle(random.Random(1))
    assert seen.count(True) >= 3
