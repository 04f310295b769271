"""How commands find the controller: options, then the environment, then the state directory; and what they say if not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.cli import client
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
    monkeypatch.setattr("steering.cli.client.default_state_dir", lambda: tmp_path / "none")
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
    assert client.state_dir_of_root(tmp_path / "own", tmp_path / "service") == tmp_path / found


def test_tokens_are_made_where_commands_find_the_controller(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["token", "add", "--role", "reader"]) == 0
    assert (tmp_path / "none" / "tokens.json").exists()
    capsys.readouterr()
