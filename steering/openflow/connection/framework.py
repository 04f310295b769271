"""How os-ken itself treats a message: its parser, its handlers, and the applications that observe the event."""

from typing import Any

from os_ken.controller import ofp_event
from os_ken.ofproto import ofproto_parser

from steering.openflow.messages.reader import Message


def show(datapath: Any, message: Message) -> None:
    """Let os-ken handle a message of one of its datapaths, as if os-ken had read the message itself."""
    data = message.data
    made = ofproto_parser.msg(datapath, message.version, message.type, len(data), message.xid, data)
    if not made or datapath.ofp_brick is None:
        return
    event = ofp_event.ofp_msg_to_ev(made)
    datapath.ofp_brick.send_event_to_observers(event, datapath.state)
    state = datapath.state
    for handler in datapath.ofp_brick.get_handlers(event):
        if state in handler.callers[event.__class__].dispatchers:
            handler(event)
