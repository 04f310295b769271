"""Links by name, with their weights (D-1.d): the weight of the site file, of an operator, and the one in force."""

from steering.core.network.graph import Graph
from steering.core.rerouting import OldPaths
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef, Site
from steering.model.snapshot import LinkSnapshot

Ends = tuple[PortRef, PortRef]


def links(site: Site, graph: Graph, keeping: OldPaths) -> tuple[LinkSnapshot, ...]:
    """Each link once. Its lesser end comes first."""
    directed = {(link.a, link.b) for link in graph.links()}
    found = []
    for a, b in sorted({(min(pair), max(pair)) for pair in directed}):
        wanted = keeping.wanted(a, b)
        own = graph.own_weight(a, b)
        ends = [f"{site.switch_name(end.dpid)}:{end.port}" for end in (a, b)]
        found.append(
            LinkSnapshot(
                name="-".join(ends),
                a=ends[0],
                b=ends[1],
                weight=own if wanted is None else wanted,
                own_weight=own,
                set_weight=wanted,
                up={(a, b), (b, a)} <= directed,
            )
        )
    return tuple(found)


def ends_of(site: Site, graph: Graph, name: str) -> Ends | None:
    """The ends of a link by its name, the lesser end first. None if the name names no link.

    A name is `s1:2-s3:3` with either end first, or `s1-s3` if only one link joins the two switches."""
    for at in [number for number, letter in enumerate(name) if letter == "-"]:
        halves = name[:at], name[at + 1 :]
        ends = [_port(site, half) for half in halves]
        if ends[0] is not None and ends[1] is not None:
            return min(ends[0], ends[1]), max(ends[0], ends[1])
        dpids = [_switch(site, half) for half in halves]
        if None not in dpids:
            between = {
                (min(link.a, link.b), max(link.a, link.b))
                for link in graph.links()
                if [link.a.dpid, link.b.dpid] in (dpids, dpids[::-1])
            }
            if len(between) == 1:
                return between.pop()
    return None


def _port(site: Site, text: str) -> PortRef | None:
    switch, _, number = text.rpartition(":")
    dpid = _switch(site, switch)
    if dpid is None or not (number.isascii() and number.isdecimal() and len(number) <= 10):
        return None
    return PortRef(dpid, PortNumber(int(number)))


def _switch(site: Site, text: str) -> DatapathId | None:
    known = site.switches.get(text)
    if known is not None or len(text) != 16:
        return known
    try:
        return DatapathId(int(text, 16))
    except ValueError:
        return None
