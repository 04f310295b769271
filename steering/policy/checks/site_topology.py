"""Findings about names, the numbers that are made from names, switch ports and links."""

from collections import defaultdict
from collections.abc import Iterator

from steering.model.ids import DatapathId, PortNumber
from steering.model.network import FIRST_TAGGED, PortRef
from steering.model.numbers import NUMBERS
from steering.policy.language.findings import Code, Path, PlacelessFinding, nearest, quoted
from steering.policy.site.plan import AttachmentKind, Plan

_SECTIONS = {
    AttachmentKind.ACCESS: ("access_networks", Code.NO_ACCESS_NETWORK, "no access network: hosts need one"),
    AttachmentKind.GATEWAY: ("gateways", Code.NO_GATEWAY, "no gateway: nothing leads to servers"),
}


def topology_problems(plan: Plan) -> Iterator[PlacelessFinding]:
    """All findings of this module, in no order."""
    yield from _absent(plan)
    yield from _names(plan)
    yield from _waypoints(plan)
    yield from _switches(plan)
    yield from _certificates(plan)
    yield from _ports(plan)
    yield from _reach(plan)


def _absent(plan: Plan) -> Iterator[PlacelessFinding]:
    present = {attachment.kind for attachment in plan.attachments}
    for kind, (section, code, message) in _SECTIONS.items():
        if kind not in present and section not in plan.lost:
            yield PlacelessFinding((section,), code, message)


def _names(plan: Plan) -> Iterator[PlacelessFinding]:
    seen: dict[str, AttachmentKind] = {}
    for attachment in plan.attachments:
        if attachment.name in seen:
            other_kind = seen[attachment.name]
            whose = f"another {other_kind}" if other_kind is attachment.kind else f"one {other_kind}"
            message = f"{attachment.title} has the name of {whose}: names are for one thing only"
            yield PlacelessFinding((*attachment.path, "name"), Code.DUPLICATE_NAME, message)
        seen.setdefault(attachment.name, attachment.kind)


def _waypoints(plan: Plan) -> Iterator[PlacelessFinding]:
    """More attachment ports than there are waypoint numbers."""
    count = 0
    for attachment in plan.attachments:
        count += len(attachment.ports)
        if count > NUMBERS:
            message = (
                f"{attachment.title} has port number {NUMBERS + 1} of the site: labels tell {NUMBERS} apart"
            )
            yield PlacelessFinding((*attachment.path, "name"), Code.OUT_OF_RANGE, message)
            return


def _certificates(plan: Plan) -> Iterator[PlacelessFinding]:
    """Wrong names of certificates: each belongs to one switch of the file. With a shared one, a switch could pretend
    to be another."""
    owners: dict[str, str] = {
        name: name for name in plan.switches if name not in plan.file.switch_certificates
    }
    for name, certificate in plan.file.switch_certificates.items():
        path: Path = ("switch_certificates", name)
        if name not in plan.switches and "switches" not in plan.lost:
            message = f"no switch is called {quoted(name)}"
            yield PlacelessFinding(path, Code.UNKNOWN_SWITCH, message, nearest(name, plan.switches))
        other = owners.setdefault(certificate, name)
        if other != name:
            message = f"switches {quoted(other)} and {quoted(name)} have one certificate"
            yield PlacelessFinding(path, Code.DUPLICATE_SWITCH, message)


def _switches(plan: Plan) -> Iterator[PlacelessFinding]:
    names: dict[int, str] = {}
    for name, dpid in plan.switches.items():
        other = names.setdefault(dpid, name)
        if other == name:
            continue
        # A port may imply the switch `sN`. The finding points at the entry that is in the file.
        pointed = name if name in plan.file.switches else other
        path: Path = ("switches", pointed)
        yield PlacelessFinding(
            path, Code.DUPLICATE_SWITCH, f"switches {quoted(other)} and {quoted(name)} are datapath {dpid:#x}"
        )


def _ports(plan: Plan) -> Iterator[PlacelessFinding]:
    taken: dict[PortRef, str] = {}
    for attachment in plan.attachments:
        for port in attachment.ports:
            if port.ref in taken:
                message = f"{attachment.title} is at port {port.written}, which {taken[port.ref]} has already"
                yield PlacelessFinding(port.path, Code.PORT_TAKEN, message)
            taken.setdefault(port.ref, attachment.title)
            if port.ref.dpid in plan.tagged and port.written.port >= FIRST_TAGGED:
                message = f"port {port.written} is above {FIRST_TAGGED - 1}, and its switch has tagged ports"
                yield PlacelessFinding(port.path, Code.OUT_OF_RANGE, message)
    carriers = {
        PortRef(dpid, PortNumber(place[0])): "a tagged port"
        for dpid, places in plan.tagged.items()
        for place in places
    }
    taken = carriers | taken
    linked: set[PortRef] = set()
    for link in plan.links:
        first, second = link.ports
        if first.ref.dpid == second.ref.dpid:
            yield PlacelessFinding(
                link.path, Code.LINK_LOOP, f"link {first.written} - {second.written} leads back to its switch"
            )
        for port in link.ports:
            if port.ref in taken:
                yield PlacelessFinding(
                    port.path,
                    Code.LINK_PORT,
                    f"port {port.written} of a link is the port of {taken[port.ref]}",
                )
            elif port.ref in linked:
                yield PlacelessFinding(port.path, Code.LINK_PORT, f"port {port.written} is in two links")
            linked.add(port.ref)
    for port in plan.link_ports:
        if port.ref in taken:
            message = f"port {port.written} may have a link and is the port of {taken[port.ref]}"
            yield PlacelessFinding(port.path, Code.LINK_PORT, message)


def _reach(plan: Plan) -> Iterator[PlacelessFinding]:
    """Switches that static links do not connect with the others. With discovery, this is not known."""
    if plan.discover or plan.lost & {"links", "switches"}:
        return
    groups = _components(plan)
    if len(groups) < 2:
        return
    main = max(groups, key=lambda group: (len(group), -min(group)))
    for attachment in plan.attachments:
        for port in attachment.ports:
            if port.ref.dpid not in main:
                message = f"{attachment.title} is at switch {quoted(port.written.switch)}, which no link joins to the rest"
                yield PlacelessFinding(port.path, Code.UNREACHABLE_SWITCH, message)
    for name, dpid in plan.file.switches.items():
        if dpid not in main:
            path: Path = ("switches", name)
            yield PlacelessFinding(
                path, Code.UNREACHABLE_SWITCH, f"no link joins switch {quoted(name)} to the rest"
            )


def _components(plan: Plan) -> list[set[DatapathId]]:
    neighbours: dict[DatapathId, set[DatapathId]] = defaultdict(set)
    for link in plan.links:
        first, second = (port.ref.dpid for port in link.ports)
        neighbours[first].add(second)
        neighbours[second].add(first)
    left = set(plan.switches.values())
    groups: list[set[DatapathId]] = []
    while left:
        group: set[DatapathId] = set()
        frontier = {left.pop()}
        while frontier:
            group |= frontier
            frontier = set().union(*(neighbours[dpid] for dpid in frontier)) - group
        left -= group
        groups.append(group)
    return groups
