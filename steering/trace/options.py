"""Reads the TCP options of a captured segment: MPTCP options, the window scale, and damage."""

from typing import NamedTuple

from steering.wire.decode import decode_option
from steering.wire.errors import WireError, WireRefusal
from steering.wire.mptcp import MpCapable, MpJoinAck, MpJoinSyn, MpJoinSynAck, MptcpOption
from steering.wire.options import MPTCP, walk_until_damage

_WINDOW_SCALE = 3
LARGEST_SCALE = 14  # RFC 7323 2.3
LATEST_VERSION = 1  # the latest version of MPTCP of which all forms of MP_CAPABLE are known


class SegmentOptions(NamedTuple):
    """The options before the first malformed one, as a host reads them.

    `mptcp`: the well-formed MPTCP options; malformed ones count as absent (RFC 8684 3). `damage`: what is wrong with
    the option that ended the list.
    """

    mptcp: tuple[MptcpOption, ...] = ()
    window_scale: int | None = None
    damage: WireRefusal | None = None

    @property
    def offer(self) -> MpCapable | MpJoinSyn | None:
        """The option of a SYN that opens a subflow."""
        for option in self.mptcp:
            if isinstance(option, MpJoinSyn):
                return option
            if isinstance(option, MpCapable) and _usable(option) and not option.receiver_key:
                if bool(option.sender_key) == (option.version == 0):
                    return option
        return None

    @property
    def answer(self) -> MpCapable | MpJoinSynAck | None:
        """The option of a SYN/ACK that accepts a subflow."""
        for option in self.mptcp:
            if isinstance(option, MpJoinSynAck):
                return option
            if isinstance(option, MpCapable) and _usable(option) and not option.receiver_key:
                if option.sender_key or option.version > LATEST_VERSION:
                    return option
        return None

    @property
    def third(self) -> MpCapable | MpJoinAck | None:
        """The option of the third ACK, or of the first data, that ends the handshake."""
        for option in self.mptcp:
            if isinstance(option, MpJoinAck):
                return option
            if isinstance(option, MpCapable) and _usable(option):
                if option.receiver_key or option.version > LATEST_VERSION:
                    return option
        return None

    @property
    def beyond_handshake(self) -> bool:
        """Whether there is an MPTCP option that is no part of the handshake, which shows that the path lets MPTCP
        pass."""
        return any(
            option.data_length is not None
            if isinstance(option, MpCapable)
            else not isinstance(option, _JOIN_FORMS)
            for option in self.mptcp
        )


_JOIN_FORMS = (MpJoinSyn, MpJoinSynAck, MpJoinAck)
_NONE = SegmentOptions()


def read_options(raw: bytes, is_syn: bool) -> SegmentOptions:
    """The options of a segment. `is_syn`: it is a SYN without ACK."""
    if not raw:
        return _NONE
    found, damage = walk_until_damage(raw)
    mptcp, scale = [], None
    for kind, option in found:
        if kind == MPTCP:
            value = _mptcp_option(option, is_syn)
            if value is not None:
                mptcp.append(value)
        elif kind == _WINDOW_SCALE and len(option) == 3:
            scale = min(option[2], LARGEST_SCALE)
    return SegmentOptions(tuple(mptcp), scale, damage)


def _mptcp_option(option: bytes, is_syn: bool) -> MptcpOption | None:
    try:
        return decode_option(option)
    except WireError as error:
        # Two hosts may agree on a version of the future: it is MPTCP, but its keys cannot be read.
        if error.reason is WireRefusal.UNKNOWN_VERSION and not is_syn and len(option) > 3:
            return MpCapable(option[2] & 0x0F, crypto=option[3] & 0x1F, extension=bool(option[3] & 0x40))
        return None


def _usable(option: MpCapable) -> bool:
    """Whether the option asks for no extension and offers a known algorithm. Otherwise it counts as absent."""
    return not option.extension and bool(option.crypto & 1)
