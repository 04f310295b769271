"""Finds the TCP segment in a captured frame."""

from steering.wire.segment import Buffer, Segment, locate_tcp_in_ip, segment_at

from .links import LinkType, link_tag, locate_ip


def read_frame(frame: Buffer, link: int = LinkType.ETHERNET, length: int | None = None) -> Segment:
    """The TCP segment in a captured frame of link type `link`.

    `length` is the frame's length on the wire, in bytes; the captured bytes may be fewer, but hold the TCP header. A
    capture on a host that leaves segmentation to its network card shows frames whose IP length is 0. Such a datagram
    ends with the frame. Raises WireError for everything that is not a whole TCP header over IP.
    """
    ethertype, ip = locate_ip(frame, link)
    whole = max(len(frame), length or 0)
    return segment_at(frame, locate_tcp_in_ip(frame, ethertype, ip, unsegmented=whole), link_tag(frame, link))
