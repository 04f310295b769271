"""Source modes as options: what is accepted, what contradicts itself and with which line."""

import pytest

from steering.cli.main import main
from steering.relay.model import OptionError
from steering.relay.options.relay_options import parse_source
from steering.relay.options.source_mode import RelaySourceMode
from steering.relay.options.values import parse_prefixes

V4, V6 = ["192.0.2.0/28"], ["2001:db8:7::/56"]


@pytest.mark.row("N-5.4.0")
def test_one_mode_for_both_or_one_for_each_family() -> None:
    assert str(parse_source(["transparent"], [], [])) == "transparent"
    made = parse_source(["ipv4=shared", "nptv6"], [*V4, *V6], [], "4")
    assert (made.ipv4, made.ipv6) == (RelaySourceMode.SHARED, RelaySourceMode.NPTV6)
    assert str(made) == "ipv4=shared,ipv6=nptv6" and made.shares
    assert parse_source(["ipv6-address"], [], []).ipv4 is None
    assert not parse_source(["one-to-one"], V4, []).shares


CASES = [
    (["open"], [], {}, r"'open' is not a source mode \(known: transparent, ipv6-prefix"),
    (["ipv5=shared"], [], {}, "neither ipv4 nor ipv6"),
    (["ipv6=shared"], V6, {}, "shared is no mode of IPv6"),
    (["shared", "ipv4=one-to-one"], V4, {}, "IPv4 is shared already"),
    (["transparent", "nptv6"], V6, {}, "IPv6 is transparent already"),
    (["transparent"], V4, {}, "keeps the host's own address and takes no pool"),
    (["ipv6-address"], V6, {}, "keeps the host's own address and takes no pool"),
    (["shared"], [], {}, "shared needs a --pool of IPv4"),
    (["shared"], [*V4, *V6], {}, "no source mode for IPv6 uses it"),
    (["nptv6"], [], {}, "nptv6 needs a --pool of IPv6"),
    (["nptv6"], ["2001:db8::/72"], {}, "has no prefix of 64 bits"),
    (["ipv6-prefix"], V6, {}, "takes identifiers"),
    (["ipv6-prefix"], ["::/96"], {}, "takes identifiers"),
    (["shared"], ["192.0.2.1/28"], {}, "has host bits set"),
    (["shared"], ["192.0.2.0/28", "192.0.2.4/32"], {}, "overlaps with 192.0.2.0/28"),
    (["one-to-one"], V4, {"sharing_ratio": "4"}, "--sharing-ratio goes with"),
    (["shared"], V4, {"sharing_ratio": "1009"}, "from 1 to 1008"),
    (["transparent"], [], {"nat64": "64:ff9b::/96"}, "--nat64 needs IPv4 addresses to give"),
    (["shared"], V4, {"nat64": "64:ff9b::/64"}, "a prefix of 96 bits"),
    (["ipv6-prefix"], ["::1:0:0/96"], {"referral_ports": ["x"]}, "--referral-port x"),
]  # fmt: skip


@pytest.mark.row("N-5.4.1c", "N-5.4.2a")
@pytest.mark.parametrize(("modes", "pools", "more", "words"), CASES)
def test_contradictions(modes: list[str], pools: list[str], more: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        parse_source(modes, pools, [], **more)  # type: ignore[arg-type]


def test_prefixes_need_a_mode_and_may_not_hold_the_pool() -> None:
    with pytest.raises(OptionError, match=r"--prefix fd00:9::/64: no source mode for IPv6"):
        parse_source(["shared"], V4, parse_prefixes(["10.9.0.0/24", "fd00:9::/64"]))
    with pytest.raises(OptionError, match="overlaps with the servers"):
        parse_source(["shared"], V4, parse_prefixes(["192.0.2.0/24"]))


@pytest.mark.row("N-5.4.0", "N-5.4.1c")
def test_the_command_refuses_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "--port", "80"]) == 2
    assert "--source-mode is required" in capsys.readouterr().err
    assert main(["relay", "--port", "80", "--source-mode", "transparent", "--pool", "192.0.2.0/28"]) == 2
    assert capsys.readouterr().err == (
        "steering relay: --pool 192.0.2.0/28: transparent keeps the host's own address and takes no pool\n"
    )
    assert main(["relay", "--port", "80", "--source-mode", "transparent", "--log-destinations"]) == 2
    assert "--log-destinations goes with" in capsys.readouterr().err
