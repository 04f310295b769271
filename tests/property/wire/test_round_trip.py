"""Every option, version 0 and 1: what was encoded is what is decoded, alone and in a list."""

from hypothesis import given
from hypothesis import strategies as st

from steering.wire.decode import decode_option, mptcp_options
from steering.wire.mptcp import (
    AddAddr,
    Dss,
    DssMapping,
    MpCapable,
    MpExperimental,
    MpFail,
    MpFastclose,
    MpJoinAck,
    MpJoinSyn,
    MpJoinSynAck,
    MpPrio,
    MptcpOption,
    MpTcprst,
    RemoveAddr,
)
from steering.wire.options import walk_options

BYTE = st.integers(0, 255)
U16 = st.integers(0, 65535)
ADDRESS = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
SEQUENCE = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=8, max_size=8))


def _exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


MAYBE_U16 = st.none() | U16
MAPPING = st.builds(DssMapping, SEQUENCE, st.integers(0, 2**32 - 1), U16, MAYBE_U16)
BITS = {"checksum_required": st.booleans(), "extension": st.booleans()}
V1_BITS = {**BITS, "deny_join": st.booleans(), "crypto": st.integers(0, 31)}
V0_BITS = {**BITS, "crypto": st.integers(0, 63)}
KEY = _exactly(8)

COMMON = st.one_of(
    st.builds(MpJoinSyn, BYTE, _exactly(4), _exactly(4), st.booleans()),
    st.builds(MpJoinSynAck, BYTE, KEY, _exactly(4), st.booleans()),
    st.builds(MpJoinAck, _exactly(20)),
    st.builds(Dss, st.none() | SEQUENCE, st.none() | MAPPING, st.booleans()),
    st.builds(RemoveAddr, st.lists(BYTE, min_size=1, max_size=37).map(tuple)),
    st.builds(MpFail, KEY),
    st.builds(MpFastclose, KEY),
    st.builds(MpExperimental, st.integers(0, 15), st.binary(max_size=37)),
)
V1: st.SearchStrategy[MptcpOption] = st.one_of(
    COMMON,
    st.builds(MpCapable, st.integers(1, 15), **V1_BITS),
    st.builds(MpCapable, st.just(1), KEY, **V1_BITS),
    st.builds(MpCapable, st.just(1), KEY, KEY, **V1_BITS),
    st.builds(MpCapable, st.just(1), KEY, KEY, U16, MAYBE_U16, **V1_BITS),
    st.builds(AddAddr, BYTE, ADDRESS, MAYBE_U16, KEY),
    st.builds(AddAddr, BYTE, ADDRESS, MAYBE_U16, st.just(b""), st.just(True)),
    st.builds(MpPrio, st.booleans()),
    st.builds(MpTcprst, BYTE, st.booleans()),
)
V0: st.SearchStrategy[MptcpOption] = st.one_of(
    COMMON,
    st.builds(MpCapable, st.just(0), KEY, **V0_BITS),
    st.builds(MpCapable, st.just(0), KEY, KEY, **V0_BITS),
    st.builds(AddAddr, BYTE, ADDRESS, MAYBE_U16),
    st.builds(MpPrio, st.booleans(), st.none() | BYTE),
)
VERSIONED = st.one_of(st.tuples(st.just(1), V1), st.tuples(st.just(0), V0))


def _bytes(option: MptcpOption, version: int) -> bytes:
    return option.encode(None) if isinstance(option, MpCapable) else option.encode(version)


@given(VERSIONED)
def test_decoding_undoes_encoding(versioned: tuple[int, MptcpOption]) -> None:
    version, option = versioned
    raw = _bytes(option, version)
    assert len(raw) == raw[1] <= 40 and raw[0] == 30
    assert decode_option(raw, version) == option


@given(
    st.sampled_from([0, 1]).flatmap(lambda v: st.tuples(st.just(v), st.lists(V1 if v else V0, max_size=5)))
)
def test_a_list_of_options(versioned: tuple[int, list[MptcpOption]]) -> None:
    version, options = versioned
    raw = b"\x01".join(_bytes(option, version) for option in options) + b"\x00\x1e\x00"
    assert len(walk_options(raw)) == len(options)
    assert mptcp_options(raw, version) == options


@given(st.binary(min_size=1, max_size=38), st.sampled_from([0, 1]))
def test_what_decodes_encodes_to_the_same_value(body: bytes, version: int) -> None:
    raw = bytes((30, len(body) + 2)) + body
    values = mptcp_options(raw, version)
    for value in values:
        again = _bytes(value, version)
        assert len(again) == len(raw)
        assert decode_option(again, version) == value
