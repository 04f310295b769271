"""A host that turns up behind another switch of its access network, in the middle of its connections (D-3.3a).

Its segments come in there from now on, and no SYN announces them: without entries they would take their natural
path past the MCP that has them.
"""

from steering.core.network.site_index import Attachment
from steering.core.outputs import Output, RemoveEntries, Steer
from steering.core.sessions.table import SessionTable
from steering.model.network import PortRole


def moved(table: SessionTable, attachment: Attachment, address: bytes) -> list[Output]:
    """Entries of a host's subflows follow it to the switch where its address was seen last: first the new ones.
    The MCP of each stays what it was."""
    if attachment.role is not PortRole.ACCESS:
        return []
    dpid = attachment.waypoint.port.dpid
    here, gone = [], []
    for subflow in table.subflows_of(address):
        if subflow.role != PortRole.ACCESS or subflow.dpid == dpid:
            continue
        old = subflow.session.entry(subflow)
        subflow.dpid = dpid
        new = subflow.session.entry(subflow)
        if old is not None and new is not None:
            gone.append(old)
            here.append(new)
    return [Steer(tuple(here), None), RemoveEntries(tuple(gone))] if here else []
