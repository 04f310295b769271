"""Settings from arguments and from the environment, and the log formats."""

import argparse
import json
import logging
import sys
from pathlib import Path

import pytest

from steering.cli.commands import run
from steering.core.engine import Engine
from steering.model.mechanism import Mechanism
from steering.model.policy import Policy
from steering.runtime.logs import JsonFormatter
from steering.runtime.settings import (
    ListenAddress,
    Settings,
    SettingsError,
    from_arguments,
    from_environment,
    parse_endpoint,
)
from tests.support.sites import off_path_site


def arguments(*words: str) -> Settings:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return from_arguments(parser.parse_args(["--site", "s.yaml", *words]))


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("127.0.0.1:6653", ListenAddress("127.0.0.1", 6653)),
        ("[::1]:1", ListenAddress("::1", 1)),
        ("localhost:65535", ListenAddress("127.0.0.1", 65535)),
    ],
)
def test_endpoints(text: str, endpoint: ListenAddress) -> None:
    assert parse_endpoint(text, "--listen") == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6653",
        ":6653",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "::1:٣",
        "127.0.0.1:x",
        "switch.example:6653",
        "[::1:6653",
        "1.2.3:4",
    ],
)
def test_what_is_no_endpoint_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match=r"--listen: .*127\.0\.0\.1:6653"):
        parse_endpoint(text, "--listen")


def test_an_endpoint_is_shown_as_it_is_written() -> None:
    assert str(ListenAddress("::1", 8)) == "[::1]:8" and str(ListenAddress("127.0.0.1", 8)) == "127.0.0.1:8"


def test_defaults_are_loopback() -> None:
    settings = arguments()
    assert settings.listen == ListenAddress("127.0.0.1", 6653) and settings.rest == ListenAddress(
        "127.0.0.1", 8080
    )
    assert settings.policy is None and settings.disabled == frozenset()


def test_rest_outside_loopback_needs_to_be_asked_for() -> None:
    with pytest.raises(SettingsError, match="--rest-allow-remote"):
        arguments("--rest", "192.0.2.1:80")
    assert arguments("--rest", "192.0.2.1:80", "--rest-allow-remote").rest.host == "192.0.2.1"


def test_mechanisms_are_named_once_each() -> None:
    settings = arguments("--disable", "steering", "--disable", "hold-queue")
    assert settings.disabled == {"steering", "hold-queue"}
    with pytest.raises(SettingsError, match="no mechanism 'x': there are steering, "):
        arguments("--disable", "x")


def test_a_mechanism_that_is_misspelt_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match=r"no mechanism 'holdqueue': did you mean 'hold-queue'\?"):
        arguments("--disable", "holdqueue")
    with pytest.raises(SettingsError, match=r"did you mean 'read-back'\?"):
        from_environment({"STEERING_SITE": "s.yaml", "STEERING_DISABLE": "steering,readback"})


def test_every_mechanism_says_what_is_so_without_it() -> None:
    assert all(one.without and one == one.value and Mechanism(one.value) is one for one in Mechanism)


def test_an_engine_takes_no_mechanism_that_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="hold-kew"):
        Engine(off_path_site(), Policy(), epoch=1, disabled={"hold-kew"})


def test_the_environment_says_the_same() -> None:
    settings = from_environment(
        {
            "STEERING_SITE": "s.yaml",
            "STEERING_POLICY": "p.yaml",
            "STEERING_STATE_DIR": "state",
            "STEERING_REST": "127.0.0.1:0",
            "STEERING_DISABLE": "steering,hold-queue",
        }
    )
    assert settings == Settings(
        "s.yaml",
        "p.yaml",
        None,
        ListenAddress("127.0.0.1", 0),
        Path("state"),
        frozenset({Mechanism.STEERING, Mechanism.HOLD_QUEUE}),
    )


def test_the_environment_has_to_name_a_site() -> None:
    with pytest.raises(SettingsError, match="STEERING_SITE"):
        from_environment({})
    with pytest.raises(SettingsError, match="--rest-allow-remote"):
        from_environment({"STEERING_SITE": "s", "STEERING_REST": "0.0.0.0:1"})


def test_a_json_log_line_is_one_line_whatever_is_in_it() -> None:
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        record = logging.LogRecord("a.b", logging.ERROR, "f", 1, 'say "%s"\n', ("hi",), sys.exc_info())
    text = JsonFormatter().format(record)
    line = json.loads(text)
    assert "\n" not in text
    assert (line["level"], line["logger"], line["message"]) == ("error", "a.b", 'say "hi"\n')
    assert "ValueError" in line["exception"] and line["time"].endswith("+00:00")


def test_without_cluster_there_is_none() -> None:
    assert arguments().cluster is None


def test_a_cluster_is_where_etcd_is_and_what_this_controller_is_called() -> None:
    found = arguments("--cluster", "http://10.0.0.1:2379", "--cluster-name", "c1").cluster
    assert found is not None and (found.etcd, found.name, found.cell) == (
        "http://10.0.0.1:2379",
        "c1",
        "default",
    )


def test_a_cluster_has_one_share_unless_it_is_told() -> None:
    words = (
        "--cluster",
        "http://a",
        "--peer-listen",
        "10.0.0.1:1",
        "--peer-cert",
        "c",
        "--peer-key",
        "k",
        "--peer-ca",
        "a",
    )
    one, three = arguments(*words).cluster, arguments(*words, "--cluster-shares", "3").cluster
    assert one is not None and three is not None and (one.shares, three.shares) == (1, 3)


def test_members_have_longer_to_prepare_than_etcd_may_be_silent_unless_it_is_told() -> None:
    words = ("--cluster", "http://a")
    one, more = arguments(*words).cluster, arguments(*words, "--cluster-patience", "2.5").cluster
    assert one is not None and more is not None and (one.patience, more.patience) == (5.0, 2.5)


@pytest.mark.parametrize(
    "words",
    [
        ("--cluster-name", "c1"),
        ("--cluster", "http://a", "--cluster-cert", "c.pem"),
        ("--cluster", "http://a", "--cluster-user", "u"),
        ("--cluster", "http://a", "--cluster-cell", "a/b"),
        ("--peer-listen", "127.0.0.1:1"),
        ("--cluster", "http://a", "--peer-cert", "c.pem"),
        ("--cluster-shares", "2"),
        ("--cluster", "http://a", "--cluster-shares", "0"),
        ("--cluster", "http://a", "--cluster-shares", "4097"),
        ("--cluster-patience", "2"),
        ("--cluster", "http://a", "--cluster-patience", "0"),
        ("--cluster", "http://a", "--cluster-patience", "61"),
        ("--cluster", "http://a", "--cluster-patience", "nan"),
        ("--cluster", "http://a", "--cluster-shares", "2"),  # owners that cannot reach each other
    ],
)
def test_options_of_a_cluster_that_do_not_fit_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match=r"--(cluster|peer)"):
        arguments(*words)


@pytest.mark.parametrize(
    ("words", "otlp", "rate"),
    [
        ([], None, 10),
        (["--otlp"], "", 10),
        (["--otlp", "http://127.0.0.1:4318"], "http://127.0.0.1:4318", 10),
        (["--otlp", "https://[fd00::1]/otlp", "--otlp-rate", "100"], "https://[fd00::1]/otlp", 100),
    ],
)
def test_traces_go_where_the_option_says(words: list[str], otlp: str | None, rate: int) -> None:
    settings = arguments(*words)
    assert (settings.otlp, settings.otlp_rate) == (otlp, rate)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--otlp", "127.0.0.1:4318"], "no URL of a collector, for example http"),
        (["--otlp", "grpc://127.0.0.1:4317"], "no URL of a collector"),
        (["--otlp", "http://"], "no URL of a collector"),
        (["--otlp", "http://c:99999"], "no URL of a collector"),
        (["--otlp", "http://a..b"], "no URL of a collector"),
        (["--otlp", "http://c/?x=1"], "no URL of a collector"),
        (["--otlp", "http://c:4318 "], "no URL of a collector"),
        (["--otlp", "http://me:secret@c:4318"], "OTEL_EXPORTER_OTLP_HEADERS"),
        (["--otlp-rate", "5"], "goes with --otlp"),
        (["--otlp", "--otlp-rate", "0"], "from 1 to 100"),
        (["--otlp", "--otlp-rate", "101"], "from 1 to 100"),
    ],
)
def test_a_collector_that_cannot_be_is_refused(words: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        arguments(*words)


def test_the_environment_asks_for_traces_too() -> None:
    asked = {"STEERING_SITE": "s.yaml", "STEERING_OTLP": ""}
    assert from_environment(asked).otlp == "" and from_environment({"STEERING_SITE": "s.yaml"}).otlp is None
