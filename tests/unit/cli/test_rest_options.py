"""Where the REST may listen: loopback, or TLS, or an operator who says so."""

import argparse

import pytest

from steering.cli.commands import run
from steering.runtime.settings import SettingsError, TlsFiles, from_arguments, from_environment

TLS = ["--rest-cert", "c.pem", "--rest-key", "k.pem"]


def settings(*words: str) -> object:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return from_arguments(parser.parse_args(["--site", "s.yaml", *words]))


@pytest.mark.row("N-7.1", "N-7.3b")
def test_beyond_loopback_only_with_tls_or_when_told() -> None:
    with pytest.raises(SettingsError, match="there is no TLS: give --rest-cert and --rest-key"):
        settings("--rest", "192.0.2.1:8080")
    assert settings("--rest", "192.0.2.1:8080", *TLS).rest_tls == TlsFiles("c.pem", "k.pem")  # type: ignore[attr-defined]
    assert settings("--rest", "192.0.2.1:8080", "--rest-allow-remote").rest_tls is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [TLS[:2], TLS[2:], ["--rest-client-ca", "a.pem"]])
def test_half_of_a_certificate_is_refused(words: list[str]) -> None:
    with pytest.raises(SettingsError, match="go together"):
        settings(*words)


def test_the_environment_says_the_same() -> None:
    environ = {
        "STEERING_SITE": "s.yaml", "STEERING_REST": "192.0.2.1:8080", "STEERING_REST_CERT": "c.pem",
        "STEERING_REST_KEY": "k.pem", "STEERING_REST_CLIENT_CA": "a.pem",
    }  # fmt: skip
    assert from_environment(environ).rest_tls == TlsFiles("c.pem", "k.pem", "a.pem")
    with pytest.raises(SettingsError, match="no TLS"):
        from_environment({"STEERING_SITE": "s.yaml", "STEERING_REST": "192.0.2.1:8080"})
