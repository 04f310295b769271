"""What is counted of other controllers."""

from enum import StrEnum


class PeerEvent(StrEnum):
    """What came of other controllers, and of what they said."""

    JOIN_PASSED_ON = "join-passed-on"
    SEGMENT_PASSED_ON = "segment-passed-on"
    NOT_MINE = "not-mine"  # a segment that was passed on to here, and is of no session that is known
    FOREIGN_SWITCH = "foreign-switch"  # it speaks for a switch that is not its own
    STRANGER = "stranger"  # it is no member
    UNKNOWN_END = "unknown-end"  # a token ended that it never told
    NO_ROOM = "no-room"  # more tokens than are kept of one controller
    DIFFERENT_DIGEST = "different-digest"  # the replica here is not what it says it is
    OUT_OF_PLACE = "out-of-place"  # a message that does not belong here
