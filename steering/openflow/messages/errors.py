"""The two errors of this package: a rule that OpenFlow cannot express, and malformed bytes from a switch."""

from enum import StrEnum


class EncodeError(ValueError):
    """A rule names a field, action or value that has no OpenFlow 1.3 form. This is a defect of the controller; nothing
    in the network can cause it."""


class MessageFault(StrEnum):
    """Why bytes from a switch were refused. The value is the label of the counter that counts it."""

    TRUNCATED = "truncated"  # a structure ends past the message
    WRONG_TYPE = "wrong-type"  # not OpenFlow 1.3, or not the message that was expected
    BAD_LENGTH = "bad-length"  # a length field smaller than its own header
    BAD_MATCH = "bad-match"  # not an OXM match
    NO_IN_PORT = "no-in-port"


class MalformedMessage(Exception):
    """Raised for any bytes from a switch that this package refuses."""

    def __init__(self, reason: MessageFault) -> None:
        super().__init__(reason.value)
        self.reason = reason
