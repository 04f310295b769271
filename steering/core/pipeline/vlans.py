"""VLAN tags of attachments (IEEE 802.1Q; two tags: 802.1ad): popped when a packet comes in, pushed when it leaves.

An attachment with a tag is a tagged port, with a port number of its own. A tagged packet first loses its tag, gets
the number of its tagged port as ingress port, and enters GUARD again. All later rules, meters, copies and released
segments use this number and no tags. A packet that leaves by a tagged port gets its tags. Any other tagged packet is
dropped, also one that has only the outer one of two tags. The counters of these rules are read
(openflow.polls.foreign_tags) and published as a metric.
"""

from collections.abc import Callable, Iterable, Iterator

from steering.core.outputs import Output, SendFrame
from steering.core.pipeline.priorities import DISCOVER, HALF_TAGGED, TAGGED, UNTAG
from steering.model.ids import DatapathId, PortNumber
from steering.model.network import PortRef, VlanLine
from steering.model.rules import (
    FOREIGN_TAG,
    VLAN_PRESENT,
    OutputAction,
    PopVlan,
    PushVlan,
    Resubmit,
    Rule,
    RuleAction,
    SetField,
    Table,
    static_cookie,
)

LLDP = 0x88CC
CUSTOMER, SERVICE = 0x8100, 0x88A8  # TPIDs of IEEE 802.1Q: single or inner tag; outer of two tags


def leaving(port: PortNumber, line: VlanLine | None) -> tuple[RuleAction, ...]:
    """The actions that send a packet out of an attachment's port, with the port's tags.

    A switch sends no packet out of its ingress port. A packet that came in without a tag may leave by a tagged port of
    the same physical port. So the ingress port is set to the tagged port's number.
    """
    if line is None:
        return (OutputAction(port),)
    tags: list[RuleAction] = [SetField("ingress", port)]
    for ethertype, tag in _pushed(line):
        tags += [PushVlan(ethertype), SetField("vlan_vid", VLAN_PRESENT | tag)]
    return (*tags, OutputAction(line.port))


def tagged(
    outputs: Iterable[Output], line_of: Callable[[DatapathId, PortNumber], VlanLine | None]
) -> list[Output]:
    """The same outputs. The controller's own frames for tagged ports get the ports' tags."""
    return [
        _tagged_frame(output, line)
        if isinstance(output, SendFrame) and (line := line_of(output.dpid, output.port)) is not None
        else output
        for output in outputs
    ]


def _tagged_frame(given: SendFrame, line: VlanLine) -> SendFrame:
    frame = given.frame
    for ethertype, tag in _pushed(line):
        frame = frame[:12] + ethertype.to_bytes(2, "big") + tag.to_bytes(2, "big") + frame[12:]
    return SendFrame(given.dpid, line.port, frame)


def _pushed(line: VlanLine) -> list[tuple[int, int]]:
    """The TPIDs and tags in the order in which they are pushed: the inner tag first."""
    inner = (CUSTOMER, line.tags[-1])
    return [inner] if len(line.tags) == 1 else [inner, (SERVICE, line.tags[0])]


def vlan_rules(epoch: int, ports: Iterable[PortRef]) -> Iterator[Rule]:
    """The rules of GUARD for tags at a switch with these attachment ports."""
    cookie = static_cookie(epoch)
    steps: dict[tuple[PortNumber, int], PortNumber] = {}  # ingress port and tag -> tagged port
    untagged: set[PortNumber] = set()
    carriers: set[PortNumber] = set()
    attached: set[PortNumber] = set()
    for port in ports:
        line = port.line
        attached.add(port.port)
        if line is None:
            untagged.add(port.port)
            continue
        carriers.add(line.port)
        if line.outer:
            steps[line.port, line.tags[0]] = line.outer
        steps[line.outer or line.port, line.tags[-1]] = port.port
    for (came, tag), number in sorted(steps.items()):
        fields = (("in_port", came), ("vlan_vid", VLAN_PRESENT | tag))
        actions = (PopVlan(), SetField("ingress", number), Resubmit(Table.GUARD))
        yield Rule(Table.GUARD, UNTAG, fields, actions, cookie=cookie)
    tagged = (("vlan_vid", (VLAN_PRESENT, VLAN_PRESENT)),)
    yield Rule(Table.GUARD, TAGGED, tagged, cookie=cookie | FOREIGN_TAG)
    # Here such a packet has no tag any more. As LLDP it would use up the meter that all links of the switch share.
    for number in sorted({*steps.values()} - attached):
        yield Rule(Table.GUARD, HALF_TAGGED, (("in_port", number),), cookie=cookie | FOREIGN_TAG)
    for number in sorted(carriers - untagged):
        yield Rule(Table.GUARD, DISCOVER + 1, (("eth_type", LLDP), ("in_port", number)), cookie=cookie)
