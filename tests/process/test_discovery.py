"""A CPE's relay asks the real controller before it starts, over TLS, and believes nobody else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.cli.main import main
from steering.relay.kernel.uplinks import ruleset
from steering.relay.model import Upstream
from tests.process.network import Network
from tests.support.controller_process import LINKS, SITE
from tests.support.rest_calls import certificates

CPE = ("relay", "--role", "upstream", "--inside", "lan0", "--uplink", "lo", "--nft")


class Asked:
    """A controller with TLS, its switches, and a device's token; `relay` is what the CPE's relay says to options."""

    def __init__(self, network: Network, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = (network.running.state / "rest").read_text().strip()
        self.folder, self.capsys = folder, capsys
        self.token = folder / "device"
        state = str(network.running.state)
        for role, file in (("device", self.token), ("mcp", folder / "mcp")):
            whose = ["--mcp", "core"] if role == "mcp" else ["--name", "cpe-1"]
            assert main(["token", "add", "--role", role, *whose, "--state-dir", state]) == 0
            file.write_text(capsys.readouterr().out.split()[-1])
            file.chmod(0o600)
        (folder / "wrong").write_text("w" * 43)
        (folder / "wrong").chmod(0o600)

    def relay(
        self, url: str = "", token: str = "device", ca: str = "ca.pem", *more: str
    ) -> tuple[int, str, str]:
        words = ["--discover", url or self.url, "--token-file", str(self.folder / token)]
        status = main([*CPE, *words, "--ca-file", str(self.folder / ca), *more])
        said = self.capsys.readouterr()
        return status, said.out, said.err


@pytest.fixture
def asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Asked]:
    monkeypatch.setattr("steering.relay.kernel.uplink_watch.read", lambda names: ())
    monkeypatch.setattr("steering.relay.kernel.uplinks.script", shown)
    certificates(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = ["--rest-cert", str(tmp_path / "server.crt"), "--rest-key", str(tmp_path / "server.key")]
    with Network(tmp_path, SITE + LINKS, *tls) as network:
        yield Asked(network, tmp_path, capsys)


def shown(_ways: object, inside: tuple[str, ...], upstream: Upstream) -> str:
    """The CPE's own rules without what it would find on a machine that is none."""
    return ruleset(["dsl0"], inside, upstream)


def test_a_cpe_is_told_the_mcps_addresses_and_its_own_options_go_first(asked: Asked) -> None:
    status, script, error = asked.relay()
    assert status == 0, error
    for address in ("ip daddr 10.8.0.2/32", "ip6 daddr fd00:8::2/128"):
        assert f'iifname {{ "lan0" }} {address} tcp option mptcp exists counter drop' in script
    own = asked.relay("", "device", "ca.pem", "--deny-mptcp-to", "10.7.0.0/24")[1]
    assert "ip daddr 10.7.0.0/24 tcp option mptcp" in own and "10.8.0.2" not in own


@pytest.mark.row("N-7.3b")
def test_a_relay_does_not_start_where_it_is_not_known_or_does_not_know(asked: Asked) -> None:
    for token, ca, why in (
        ("wrong", "ca.pem", "it refuses the token"),
        ("mcp", "ca.pem", "role device is meant"),
        ("device", "stranger.pem", "no TLS: "),
        ("none", "ca.pem", "--token-file"),
    ):
        status, script, error = asked.relay("", token, ca)
        assert (status, script, error.count("\n")) == (2, "", 1)
        assert why in error
    for url, why in (
        (asked.url.replace("https:", "http:"), "an https address"),
        ("https://127.0.0.1:1", "refused"),
    ):
        status, script, error = asked.relay(url)
        assert (status, script, error.count("\n")) == (2, "", 1)
        assert why in error
