"""Implicit mode's options: what is announced, and that it is taken back."""

import pytest

from steering.cli.main import main
from steering.relay.kernel.implicit_mode import announcing, parse_advertised, parse_listener, silencing
from steering.relay.kernel.rules import ruleset, unrouting
from steering.relay.kernel.sysctls import settings
from steering.relay.model import AdvertisedAddress, OptionError
from steering.relay.options.values import parse_prefixes
from tests.support.relay_options import options


@pytest.mark.row("N-5.2.2b")
def test_addresses_and_ports() -> None:
    found = parse_advertised(["10.8.0.2", "10.8.0.2:5999", "[fd00:8::2]:5999", "fd00:8::2", "10.8.0.2"])
    assert found == (
        AdvertisedAddress("10.8.0.2"),
        AdvertisedAddress("10.8.0.2", 5999),
        AdvertisedAddress("fd00:8::2", 5999),
        AdvertisedAddress("fd00:8::2"),
    )
    assert announcing(found[:2]) == (
        "ip mptcp endpoint add 10.8.0.2 id 201 signal",
        "ip mptcp endpoint add 10.8.0.2 id 202 port 5999 signal",
    )
    assert "ip mptcp endpoint delete id 202" in silencing() and set(silencing()) <= set(unrouting())


@pytest.mark.parametrize(
    "bad",
    ["", "mcp", "10.8.0.2:", "10.8.0.2:0", "10.8.0.2:65536", "10.8.0.2:x", "[fd00::1]", "[fd00::1", "0.0.0.0",
     "::", "ff02::1", "fe80::1%eth0", "10.8.0.2 dev eth0", "10.8.0.0/24"],
)  # fmt: skip
def test_bad_addresses(bad: str) -> None:
    with pytest.raises(OptionError, match="--advertise"):
        parse_advertised([bad])


def test_at_most_eight() -> None:
    with pytest.raises(OptionError, match="at most 8"):
        parse_advertised([f"10.8.0.{n}" for n in range(1, 10)])


def value_of(name: str, **changes: object) -> str:
    return next(one.value for one in settings(options(**changes)) if one.name == name)


@pytest.mark.row("N-5.2.2c")
def test_the_c_flag_is_the_kernels_and_off_again_without_the_option() -> None:
    name = "net.mptcp.allow_join_initial_addr_port"
    assert value_of(name, c_flag=True) == "0"
    assert value_of(name) == "1"


ANNOUNCED = (AdvertisedAddress("10.8.0.2", 5999), AdvertisedAddress("fd00:8::2", 5999))
BOTH = parse_prefixes(["10.9.0.0/24", "fd00:9::/64"])


@pytest.mark.row("N-5.2.2c")
def test_one_listener_serves_every_port_where_joins_come_by_another() -> None:
    assert parse_listener(None, (), False, (), False) == 0
    assert parse_listener("15000", ANNOUNCED, True, BOTH, False) == 15000
    told = ruleset(options(ports=(), ranges=((80, 80), (1000, 9000)), listener=15000, c_flag=True))
    assert "tcp dport { 80, 1000-9000 } tproxy ip to :15000 " in told and "to :tcp dport" not in told
    assert told.index("transparent 1 goto ours") < told.index("meta l4proto tcp goto fresh")
    assert "meta l4proto tcp goto fresh" not in ruleset(options())


@pytest.mark.parametrize(
    ("value", "announced", "c_flag", "referring", "says"),
    [
        ("0", ANNOUNCED, True, False, "a whole number from 1"),
        ("15000", ANNOUNCED, False, False, "needs --c-flag"),
        ("15000", ANNOUNCED[:1], True, False, "needs --advertise ADDR:PORT of IPv6"),
        (
            "15000",
            (AdvertisedAddress("10.8.0.2"), ANNOUNCED[1]),
            True,
            False,
            "needs --advertise ADDR:PORT of IPv4",
        ),
        ("5999", ANNOUNCED, True, False, "the kernel listens there itself"),
        ("15000", ANNOUNCED, True, True, "give each a listener"),
    ],
)
def test_one_listener_is_refused_where_joins_would_be_reset(
    value: str, announced: tuple[AdvertisedAddress, ...], c_flag: bool, referring: bool, says: str
) -> None:
    with pytest.raises(OptionError, match=says):
        parse_listener(value, announced, c_flag, BOTH, referring)


@pytest.mark.row("N-7.1")
def test_servers_are_told_no_address() -> None:
    told = ruleset(options(advertise=(AdvertisedAddress("10.8.0.2"),)))
    assert "ip daddr { 10.9.0.0/24 } tcp option mptcp subtype 3 drop" in told


def test_a_controller_that_manages_paths_leaves_no_kernel_to_announce(
    capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    token = tmp_path / "token"
    token.write_text("x" * 40)
    token.chmod(0o600)
    given = ["--source-mode", "transparent", "--port", "80", "--advertise", "10.8.0.2"]
    given += ["--controller", "http://127.0.0.1:1", "--mcp", "core", "--token-file", str(token)]
    assert main(["relay", *given]) == 2
    assert "not with --controller" in capsys.readouterr().err
