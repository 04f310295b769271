"""MCPs that are registered, changed and taken out while the controller runs (D-6.7.7, S-5, S-17b).

A description is refused for the same faults as a site file. It is also refused where the live network contradicts it: a
port that its switch does not have, or that leads to another switch. A change is made completely or not at all: all checks
come first, then the state directory, the engine and discovery are changed.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from steering.core.engine import Engine
from steering.core.inputs import McpsReplaced
from steering.core.snapshots import site as snapshots
from steering.core.snapshots.site import PortUse
from steering.model.control import Json, McpAnswer, McpOutcome
from steering.model.ids import McpId
from steering.model.network import Mcp, Site, is_other, occupied_ports
from steering.openflow.discovery.link_discovery import Discovery
from steering.policy import parse_policy
from steering.policy.language.findings import Code, Path
from steering.policy.site_mcps import FieldFinding, McpText, of_policy, of_site, with_mcps
from steering.runtime.orders.declared_site import DeclaredSite

log = logging.getLogger(__name__)


class Registrar:
    """Registers, changes and removes MCPs. Callers must make one change at a time. `work` runs a long function in a
    thread, so that switches do not wait."""

    def __init__(
        self, declared: DeclaredSite, engine: Engine, discovery: Discovery | None, work: Callable[..., Any]
    ) -> None:
        self._work = work
        self._declared = declared
        self._engine = engine
        self._discovery = discovery

    def mcp(self, name: str) -> Json | None:
        """The description of the MCP called `name`; None where there is no such MCP."""
        return next((one for one in self._declared.mcps if one["name"] == name), None)

    def put(self, text: str, name: str | None, policy: str, take: Callable[[Any], None]) -> McpOutcome:
        """Add an MCP, or change the description of the MCP called `name`. `text`: the description; `policy`: the text of
        the policy in force; `take` takes the input for the engine."""
        wanted = self._work(McpText, text)
        data = wanted.data
        if data is None:
            return self._refused(wanted.name, wanted.unread())
        mcps = list(self._declared.mcps)
        place = next((n for n, one in enumerate(mcps) if one["name"] == name), len(mcps))
        if name is None:
            if self.mcp(wanted.name) is not None:
                return self._outcome(McpAnswer.TAKEN, wanted.name)
        elif place == len(mcps):
            return self._outcome(McpAnswer.UNKNOWN, name)
        elif wanted.name != name:
            message = f"MCP '{name}' keeps its name: register another one"
            return self._refused(name, [wanted.placed(("name",), Code.BAD_VALUE, message)])
        mcps[place : place + 1] = [data]
        site, problems = self._work(with_mcps, self._declared.data, mcps, self._declared.site.numbers)
        if site is None:
            return self._refused(wanted.name, wanted.findings(problems, place))
        found = [wanted.placed(*one) for one in self._live(site.mcps[place])]
        found = found or self._work(_against, policy, site)
        if found:
            return self._refused(wanted.name, found)
        known = snapshots.mcp(self._engine, site.mcps[place].id)
        if known is not None and is_other(known, site.mcps[place]) and self._sessions(known.id):
            return self._outcome(McpAnswer.IN_USE, wanted.name)
        self._do(mcps, site, take)
        log.info("MCP %s is %s", wanted.name, "registered" if name is None else "changed")
        return self._outcome(McpAnswer.DONE, wanted.name)

    def remove(self, name: str, force: bool, policy: str, take: Callable[[Any], None]) -> McpOutcome:
        """Remove the MCP called `name` from the site."""
        if self.mcp(name) is None:
            return self._outcome(McpAnswer.UNKNOWN, name)
        mcps = [one for one in self._declared.mcps if one["name"] != name]
        site, problems = self._work(with_mcps, self._declared.data, mcps, self._declared.site.numbers)
        if site is None:
            return self._refused(name, [of_site(one) for one in problems])
        found = self._work(_against, policy, site)
        if found:
            return self._refused(name, found)
        gone = next(mcp for mcp in snapshots.site(self._engine).mcps if mcp.name == name)
        if self._sessions(gone.id) and not force:
            return self._outcome(McpAnswer.IN_USE, name)
        outcome = self._outcome(McpAnswer.DONE, name)
        self._do(mcps, site, take)
        log.info("MCP %s is taken out; %d sessions lived there", name, outcome.sessions)
        return outcome

    def _do(self, mcps: list[Json], site: Site, take: Callable[[Any], None]) -> None:
        self._declared.replace(mcps, site)
        if self._discovery is not None:
            self._discovery.attach(occupied_ports(site))
        take(McpsReplaced(site.mcps, site.switches, site.numbers))

    def _live(self, mcp: Mcp) -> Iterator[tuple[Path, Code, str]]:
        """Findings where the live network contradicts an MCP's ports."""
        one = mcp.inside == mcp.outside
        places = [
            (mcp.inside, ("port",) if one else ("ports", "inside")),
            (mcp.outside, ("ports", "outside")),
        ]
        for port, path in places[:1] if one else places:
            name = snapshots.site(self._engine).switch_name(port.dpid)
            use = snapshots.use_of(self._engine, port)
            if use is PortUse.SWITCH_UNKNOWN:
                yield path, Code.UNKNOWN_SWITCH, f"no switch {name} has connected yet"
            elif use is PortUse.NO_PORT:
                yield path, Code.UNKNOWN_PORT, f"switch {name} has no port {port.port}"
            elif use is PortUse.LINK:
                yield path, Code.LINK_PORT, f"port {name}:{port.port} leads to another switch"

    def _sessions(self, mcp: McpId) -> int:
        return snapshots.sessions_at(self._engine, mcp)

    def _refused(self, name: str, found: list[FieldFinding]) -> McpOutcome:
        return McpOutcome(McpAnswer.WRONG, name, [one.as_json() for one in found], False, 0)

    def _outcome(self, answer: McpAnswer, name: str) -> McpOutcome:
        mcp = next((one for one in snapshots.site(self._engine).mcps if one.name == name), None)
        sessions = 0 if mcp is None else self._sessions(mcp.id)
        return McpOutcome(answer, name, [], self._declared.outlives(name), sessions)


def _against(policy: str, site: Site) -> list[FieldFinding]:
    """Findings where the policy in force does not fit a site."""
    return [of_policy(one) for one in parse_policy(policy, "policy", site)[1]]
