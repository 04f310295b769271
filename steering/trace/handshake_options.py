"""Which MPTCP option of a segment opens a subflow: the SYN's offer, the SYN/ACK's answer, the third ACK's option."""

from steering.wire.mptcp import MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, MptcpOption


def usable(option: MpCapable) -> bool:
    """Not an extension, and a crypto algorithm that exists: else the option counts as absent."""
    return not option.extension and bool(option.crypto & 1)


def offer_in(options: list[MptcpOption]) -> MpCapable | MpJoinSyn | None:
    for option in options:
        if isinstance(option, MpJoinSyn):
            return option
        if isinstance(option, MpCapable) and usable(option) and not option.receiver_key:
            if bool(option.sender_key) == (option.version == 0):
                return option
    return None


def answer_in(options: list[MptcpOption]) -> MpCapable | MpJoinSynAck | None:
    for option in options:
        if isinstance(option, MpJoinSynAck):
            return option
        if isinstance(option, MpCapable) and usable(option):
            if option.sender_key and not option.receiver_key:
                return option
    return None


def third_in(options: list[MptcpOption]) -> MpCapable | MpJoinAck | None:
    for option in options:
        if isinstance(option, MpJoinAck):
            return option
        if isinstance(option, MpCapable) and usable(option) and option.receiver_key:
            return option
    return None
