"""A packet-out that sends a frame made by the controller straight out of one port."""

from struct import Struct

from steering.model.ids import PortNumber

_HEAD = Struct("!BBHIIIH6xHHIH6x")
_VERSION, _PACKET_OUT, _NO_BUFFER, _CONTROLLER = 4, 13, 0xFFFF_FFFF, 0xFFFF_FFFD
_OUTPUT, _OUTPUT_LENGTH = 0, 16


def packet_out(port: PortNumber, frame: bytes) -> bytes:
    """OFPT_PACKET_OUT (OpenFlow 1.3, 7.3.7) with one output action; the pipeline does not see the frame."""
    head = _HEAD.pack(
        _VERSION, _PACKET_OUT, _HEAD.size + len(frame), 0, _NO_BUFFER, _CONTROLLER, _OUTPUT_LENGTH,
        _OUTPUT, _OUTPUT_LENGTH, port, 0,
    )  # fmt: skip
    return head + frame
