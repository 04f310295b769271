"""How commands find the controller: options, then the environment, then the state directory; and what they say if not."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.cli import client, state_dirs
from steering.cli.main import main
from steering.store import credentials
from tests.support.commands import failing
from tests.support.fixed_view import TOKEN, served
from tests.support.rest_server import serve


@pytest.fixture
def url() -> Iterator[str]:
    yield from serve(served())


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "somewhere-else"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No controller of this machine's own is found by default."""
    monkeypatch.setattr("steering.cli.state_dirs.default_state_dir", lambda: tmp_path / "none")
    for name in ("STEERING_URL", "STEERING_TOKEN_FILE", "STEERING_CA_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_the_environment_says_where(
    url: str, token: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(capsys, "status")[0] == 1
    monkeypatch.setenv("STEERING_URL", url)
    monkeypatch.setenv("STEERING_TOKEN_FILE", str(token))
    assert main(["status"]) == 0 and f"at {url}" in capsys.readouterr().out


def test_options_count_more_than_the_environment(
    url: str, token: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEERING_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STEERING_TOKEN_FILE", "/does/not/exist")
    assert main(["status", "--url", url, "--token-file", str(token)]) == 0
    capsys.readouterr()


def test_a_state_directory_that_is_named_counts_more_than_the_environment(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    credentials.write_rest_url(state, url)
    (state / "token").write_text(TOKEN)
    monkeypatch.setenv("STEERING_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STEERING_TOKEN_FILE", "/does/not/exist")
    assert main(["status", "--state-dir", str(state)]) == 0
    capsys.readouterr()


def test_the_ca_of_the_environment_is_used(
    token: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STEERING_CA_FILE", str(token))  # no certificate
    status, line = failing(capsys, "status", "--url", "https://127.0.0.1:1", "--token-file", str(token))
    assert status == 2 and "--ca-file" in line


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["rest", "token"])
@pytest.mark.parametrize("what", ["fifo", "directory"])
def test_what_is_no_file_is_said_on_one_line(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, what: str
) -> None:
    state = tmp_path / "state"
    credentials.write_rest_url(state, url)
    (state / "token").write_text(TOKEN)
    (state / name).unlink()
    os.mkfifo(state / name) if what == "fifo" else (state / name).mkdir()
    status, line = failing(capsys, "status", "--state-dir", str(state))
    assert status == 1 and str(state / name) in line and "no regular file" in line


@pytest.mark.timeout(20)
@pytest.mark.parametrize("command", [["status"], ["token", "list"], ["token", "add", "--role", "reader"]])
def test_a_wrong_state_directory_is_said_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    for wrong in (tmp_path / "file", tmp_path / "file" / "deeper"):
        status, line = failing(capsys, *command, "--state-dir", str(wrong))
        assert status == 1 and str(tmp_path / "file") in line


def test_a_kind_of_event_that_there_is_not_is_an_error(
    url: str, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["events", "--kind", "foo", "--url", url, "--token-file", str(token)])
    assert ended.value.code == 2 and "session" in capsys.readouterr().err


@pytest.mark.parametrize("host, stays", [("127.0.0.1", True), ("::1", True), ("localhost", True), ("192.0.2.1", False),
                                         ("0.0.0.0", False), ("::", False), ("example.org", False)])  # fmt: skip
def test_a_token_goes_in_clear_to_addresses_of_this_machine_alone(host: str, stays: bool) -> None:
    assert client._is_of_this_machine(host) is stays


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([], "own"),
        (["own"], "own"),
        (["service"], "service"),
        (["own", "service"], "own"),
        (["own/rest", "service"], "own"),
        (["own", "service/rest"], "service"),
        (["service/rest"], "service"),
        (["own/rest", "service/rest"], "own"),
    ],
)
def test_root_finds_its_own_controller_or_that_of_the_service(
    tmp_path: Path, there: list[str], found: str
) -> None:
    """A controller that runs goes before one that ran; root's own goes before the service's."""
    for path in map(tmp_path.joinpath, there):
        path.parent.mkdir(exist_ok=True)
        path.touch() if path.name == "rest" else path.mkdir(exist_ok=True)
    assert state_dirs.state_dir_of_root(tmp_path / "own", tmp_path / "service") == tmp_path / found


@pytest.fixture
def listening() -> Iterator[str]:
    """The URL of who takes connections, and is too busy to answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def dead() -> Iterator[str]:
    """The URL that a controller left that was killed: bound, so that nobody else gets it meanwhile, and not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.mark.parametrize(
    ("own", "service", "found"),
    [
        ("dead", "listening", "service"),
        ("dead", "dead", "own"),
        ("listening", "dead", "own"),
        ("listening", "url", "own"),
        ("http://[", "listening", "service"),
        ("", "listening", "service"),
        ("ftp://127.0.0.1", "listening", "service"),
    ],
)
def test_a_controller_of_root_that_was_killed_does_not_hide_the_service(
    tmp_path: Path, request: pytest.FixtureRequest, own: str, service: str, found: str
) -> None:
    for name, told in (("own", own), ("service", service)):
        url = request.getfixturevalue(told) if told.isalpha() else told
        credentials.write_rest_url(tmp_path / name, url)
    assert state_dirs.state_dir_of_root(tmp_path / "own", tmp_path / "service") == tmp_path / found


@pytest.mark.parametrize(("written", "found"), [(["own", "service"], "service"), (["service", "own"], "own")])
def test_of_two_that_wrote_the_same_address_the_later_one_has_it(
    tmp_path: Path, listening: str, written: list[str], found: str
) -> None:
    """The default port is the same for both."""
    for at, name in enumerate(written):
        credentials.write_rest_url(tmp_path / name, listening)
        os.utime(tmp_path / name / "rest", (at, at))
    assert state_dirs.state_dir_of_root(tmp_path / "own", tmp_path / "service") == tmp_path / found


def test_a_fifo_in_place_of_a_controllers_file_blocks_nobody(tmp_path: Path, listening: str) -> None:
    (tmp_path / "own").mkdir()
    os.mkfifo(tmp_path / "own" / "rest")
    credentials.write_rest_url(tmp_path / "service", listening)
    assert state_dirs.state_dir_of_root(tmp_path / "own", tmp_path / "service") == tmp_path / "service"


def test_tokens_are_made_where_commands_find_the_controller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "add", "--role", "reader"]) == 0
    assert (tmp_path / "none" / "tokens.json").exists()
    capsys.readouterr()
