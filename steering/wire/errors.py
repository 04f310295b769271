"""The error that this package raises, and its reasons."""

from enum import StrEnum


class WireRefusal(StrEnum):
    """Why bytes were refused. The value is the label of the counter that counts it."""

    TRUNCATED = "truncated"  # the captured bytes end inside a header that is needed
    UNKNOWN_LINK_TYPE = "unknown-link-type"
    TOO_MANY_TAGS = "too-many-tags"  # more VLAN tags (in a capture: tags and labels) than are read
    NOT_IP = "not-ip"
    BAD_IP_VERSION = "bad-ip-version"
    BAD_IHL = "bad-ihl"  # IPv4 header shorter than 20 bytes
    BAD_IP_LENGTH = "bad-ip-length"  # the IP length is shorter than its own headers
    FRAGMENT = "fragment"
    TOO_MANY_HEADERS = "too-many-headers"  # more IPv6 extension headers than are read
    NOT_TCP = "not-tcp"
    BAD_DATA_OFFSET = "bad-data-offset"  # TCP header shorter than 20 bytes
    OPTION_LENGTH_ZERO = "option-length-zero"
    OPTION_LENGTH_ONE = "option-length-one"
    OPTION_OVERRUN = "option-overrun"  # an option ends after the header, or an option has no length
    OPTIONS_TOO_LONG = "options-too-long"  # more than 40 bytes of options are to be encoded
    NOT_MPTCP = "not-mptcp"  # the option's kind is not 30
    BAD_OPTION_LENGTH = "bad-option-length"  # no form of this subtype has this length
    UNKNOWN_SUBTYPE = "unknown-subtype"
    UNKNOWN_VERSION = "unknown-version"  # neither MPTCP v0 nor v1
    IS_RESET = "is-reset"  # a reset is never answered with a reset
    BAD_MAGIC = "bad-magic"  # no Convert message at all
    BAD_TLV = "bad-tlv"  # a Convert TLV whose length, place or number is wrong
    UNKNOWN_TLV = "unknown-tlv"  # a Convert TLV of unknown type, or of a type that only the other side sends
    UNKNOWN_COMMAND = "unknown-command"  # a SOCKS command other than CONNECT, such as BIND
    DOMAIN_NAME = "domain-name"  # SOCKS with a domain name in place of an address
    BAD_VALUE = "bad-value"  # a field that does not fit its place on the wire
    MESSAGE_TOO_LONG = "message-too-long"  # a message between controllers that is longer than any may be
    UNKNOWN_MESSAGE = "unknown-message"  # a message between controllers whose type is unknown
    BAD_MESSAGE_LENGTH = "bad-message-length"  # no message of this type has this length
    OLD_PROTOCOL = "old-protocol"  # controllers without a common version of their protocol


class WireError(Exception):
    """Raised for bytes that cannot be read, and for fields that cannot be encoded."""

    def __init__(self, reason: WireRefusal) -> None:
        super().__init__(reason.value)
        self.reason = reason
