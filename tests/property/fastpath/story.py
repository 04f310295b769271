"""Two controllers, one that takes the fast path and one that takes the general way, and what happens to both of them at once."""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from steering.core.inputs import PolicyReplaced
from steering.model.network import Gateway, Interception, PortRef, Site
from steering.model.policy import Policy
from steering.policy import parse_policy
from tests.property.fastpath.both_ways import BytesController
from tests.property.fastpath.traffic import Traffic, barriers
from tests.support.sites import firsts, mcp, nets, off_path_site

EXAMPLES = int(os.environ.get("STEERING_FAST_PATH_EXAMPLES", "2000"))  # reads; 100,000 at night
STORY = 50  # reads that two controllers take before two new ones do
LOOK = 5  # reads after which all state is compared; what leaves is compared at once
SEED = int(os.environ.get("STEERING_FAST_PATH_SEED", "20261129"))
POLICIES = Path(__file__).resolve().parents[3] / "policies"

TEXTS = [
    *4 * ["policy: 1\nselection: {max_stretch: 100, avoid_sick: false}\n"],
    "policy: 1\n",
    "policy: 1\nlimits: {sessions: 12, half_open: 8, half_open_per_source: 3, subflows_per_session: 2}\n",
    "policy: 1\nquotas: {sessions_per_subscriber: 4, subflows_per_session: 3}\nselection: {max_stretch: 100, avoid_sick: false}\n",
    "policy: 1\nquotas: {sessions_per_server: 3, sessions_per_mcp: 4}\n",
    "policy: 1\nselection: {max_stretch: 100, avoid_sick: false, hysteresis: 0.4, weights: {location: 0, type: 0, load: 10}}\n",
    "policy: 1\nselection: {max_stretch: 100, avoid_sick: false, weights: {location: 0, type: 0, load: 0}}\n",
    "policy: 1\nrules:\n  - {name: no, when: {port: 22}, then: {action: deny}}\n"
    "  - {name: by, when: {port: 80, dscp: 0}, then: {action: bypass}}\n",
    "policy: 1\nkeep_keys: true\n",
    "policy: 1\nrules:\n  - {name: sure, when: {access: wlan}, then: {action: proxy, authentication: hmac}}\n",
    *(path.read_text() for path in sorted(POLICIES.glob("*.policy.yaml"))),
]


def site_of(chance: random.Random):
    """The lab's site, with a second gateway port, with small MCPs, or with an MCP in line."""
    site = off_path_site()
    if chance.random() < 0.3:
        outside = Gateway(
            "internet",
            nets("10.9.0.0/24", "fd00:9::/64"),
            (PortRef(4, 1), PortRef(5, 5)),
            firsts("10.9.0.0/24"),
        )
        site = replace(site, gateways=(outside,))
    if chance.random() < 0.25:
        small = (
            mcp("core", PortRef(3, 1), "10.8.0.2", "fd00:8::2", capacity=5),
            mcp("edge", PortRef(5, 1), "10.8.1.2", capacity=4),
        )
        site = replace(site, mcps=small)
    if chance.random() < 0.1:
        first, *others = site.mcps
        site = replace(site, mcps=(replace(first, interception=Interception.SELF), *others))
    return site


class Story:
    """Two controllers, and what has happened to them. `make` makes a controller; True: one with the fast path."""

    def __init__(
        self, number: int, make: Callable[[Site, Policy, bool], BytesController] = BytesController
    ) -> None:
        self.chance = random.Random(SEED * 1_000_003 + number)
        policy, findings = parse_policy(self.chance.choice(TEXTS), "policy")
        assert policy is not None, findings
        site = site_of(self.chance)
        self.fast, self.general = make(site, policy, True), make(site, policy, False)
        self.both = (self.fast, self.general)
        self.traffic = Traffic(self.chance, {one.id: one.inside.dpid for one in site.mcps})
        self.now = 100.0
        self.rest: dict[int, bytes] = {}
        self.replies: list[tuple[int, bytes]] = []

    def messages(self) -> list[tuple[int, bytes]]:
        chance, found = self.chance, []
        flows = list(self.fast.driver.table.flows.values())
        for _ in range(chance.randrange(1, 7)):
            if self.replies and chance.random() < 0.5:
                found.append(self.replies.pop(chance.randrange(len(self.replies))))
            elif flows and chance.random() < 0.5:
                found.append(
                    self.traffic.of_flow(chance.choice(flows[-4:] if chance.random() < 0.7 else flows[-20:]))
                )
            else:
                found.append(self.traffic.syn())
        if chance.random() < 0.03:
            found.append((1, b"\4\2\0\x08\0\0\0\1"))  # an echo request
        return found

    def same_state(self) -> None:
        assert self.fast.state() == self.general.state()

    def one(self) -> None:
        """One read of each of some switches, at the same time at both."""
        chance = self.chance
        streams: dict[int, bytes] = {}
        for dpid, message in self.messages():
            streams[dpid] = streams.get(dpid, b"") + message
        for dpid, stream in streams.items():
            stream = self.rest.pop(dpid, b"") + stream
            if chance.random() < 0.1:  # the read ends anywhere
                cut = chance.randrange(len(stream))
                stream, self.rest[dpid] = stream[:cut], stream[cut:]
            left = [one.read(dpid, stream, self.now) for one in self.both]
            assert left[0] == left[1]
            self.rest[dpid] = left[0] + self.rest.get(dpid, b"")
            if chance.random() < 0.5:
                self.leave()
        self.leave()
        if chance.random() < 0.15:
            self.now += chance.choice((0.05, 0.3, 1.0, 7.0))
            self.sent([one.later(self.now) for one in self.both])
        if chance.random() < 0.02:
            policy, _ = parse_policy(chance.choice(TEXTS), "policy")
            for one in self.both:
                one.give(PolicyReplaced(policy), self.now)
            self.leave()
        self.traffic.sessions = list(self.fast.driver.table)[-8:]

    def leave(self) -> None:
        self.sent([one.settle(self.now) for one in self.both])

    def sent(self, written: list[dict[int, bytes]]) -> None:
        assert written[0] == written[1]
        self.replies += barriers(list(written[0].items()))


AnyStory = TypeVar("AnyStory", bound=Story)


def stories(make: Callable[[int], AnyStory], reads: int) -> Iterator[AnyStory]:
    """Stories that have so many reads in all, each when it is over. `make` makes a story from its number. The two controllers of a story have
    to be the same all the time, and the stories have to meet the fast path: else they would show nothing."""
    fast = general = 0
    for number in range(reads // STORY):
        story = make(number)
        for step in range(STORY):
            try:
                story.one()
                if step % LOOK == LOOK - 1:
                    story.same_state()
            except AssertionError as error:
                raise AssertionError(f"seed {SEED}, story {number}, read {step}") from error
        fast, general = fast + story.fast.by_fast, general + story.general.by_general
        assert story.general.by_fast == 0
        yield story
    assert fast > general / 4, (fast, general)
