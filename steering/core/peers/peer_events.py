"""The events of other controllers that are counted."""

from enum import StrEnum


class PeerEvent(StrEnum):
    """An event in the exchange with another controller."""

    JOIN_PASSED_ON = "join-passed-on"
    SEGMENT_PASSED_ON = "segment-passed-on"
    NOT_MINE = "not-mine"  # the other controller forwarded a segment that belongs to no known session
    FOREIGN_SWITCH = "foreign-switch"  # it sent something about a switch that is not its own
    STRANGER = "stranger"  # it is no member of the cluster
    UNKNOWN_END = "unknown-end"  # it ended a token that it had not announced
    NO_ROOM = "no-room"  # it has more tokens than are kept for one controller
    DIFFERENT_DIGEST = "different-digest"  # its digest does not match the replica here
    OUT_OF_PLACE = "out-of-place"  # its message does not fit the state of the exchange
