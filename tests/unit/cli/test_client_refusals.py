"""What client commands say, in one line and by their exit status, of a controller that gives no answer, and of wrong words."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import failing
from tests.support.rest_server import serve

COMMANDS = (["status"], ["sessions"], ["sessions", "m-1"], ["explain", "m-1"], ["mcp"])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_controller(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, line = failing(capsys, *words, "--state-dir", str(tmp_path))
    assert status == 1
    assert "start one with 'steering run'" in line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_controller_that_is_gone(
    words: list[str], state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as bound:  # bound, not listening: nobody else takes the port meanwhile
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        status, line = failing(capsys, *words, "--state-dir", str(state_dir), "--url", url)
    assert status == 1
    assert f"no controller answers at {url} (Connection refused): is 'steering run' up?" in line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_wrong_token(words: list[str], state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state_dir / "token").write_text("w" * 43)
    status, line = failing(capsys, *words, "--state-dir", str(state_dir))
    assert status == 1
    assert "refuses the token of" in line
    assert "--token-file" in line


@pytest.mark.parametrize("content", ["", "two words", "line\nHost: x", "\x00"])
def test_what_is_no_token_is_not_sent(
    content: str, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state_dir / "token").write_text(content)
    status, line = failing(capsys, "status", "--state-dir", str(state_dir))
    assert status == 1
    assert "holds no bearer token" in line


def test_no_token(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state_dir / "token").unlink()
    status, line = failing(capsys, "status", "--state-dir", str(state_dir))
    assert status == 1
    assert "bearer token is needed: give --state-dir or --token-file" in line


def test_a_directory_in_place_of_the_token(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, line = failing(capsys, "mcp", "--state-dir", str(state_dir), "--token-file", str(state_dir))
    assert status == 1
    assert "is no regular file" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sessions", "m-77"], "no session 'm-77'"),
        (["sessions", "../m-1"], "no resource"),
        (["sessions", ".."], "no session"),
        (["sessions", "\udcff"], "no resource"),
        (["explain", "m-77"], "no session and no decision 'm-77'; 'steering sessions' lists them"),
        (["explain", "m-2"], "no decision on record: it was read back from the switches"),
        (["explain", "m-3"], "no longer on record"),
    ],
)
def test_what_is_not_there(
    words: list[str], said: str, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = failing(capsys, *words, "--state-dir", str(state_dir))
    assert status == 1
    assert said in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sessions", "--mcp", "cor"], "no MCP 'cor'; known: core, edge"),
        (["sessions", "--state", "alive"], "one of syn-pinned, answered, established"),
        (["sessions", "--limit", "0"], "a whole number from 1"),
        (["sessions", "--limit", "many"], "a whole number from 1"),
        (["sessions", "m-1", "--mcp", "core"], "ID names one"),
        (["explain"], "ID"),
        (["status", "--url", "ftp://127.0.0.1"], "is no URL of a controller"),
        (["status", "--url", "127.0.0.1:8080"], "is no URL of a controller"),
        (["status", "--url", "http://[::1"], "is no URL of a controller"),
        (["status", "--url", "http://127.0.0.1:99999"], "is no URL of a controller"),
        (["status", "--url", "https://a..b"], "is no URL of a controller"),
        (["reservation", "request", "--session", "m-1", "--mbit", "nan"], "a finite number is wanted"),
        (["reservation", "request", "--session", "m-1", "--mbit", "inf"], "a finite number is wanted"),
    ],
)
def test_bad_usage_is_status_2(
    words: list[str], said: str, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, line = failing(capsys, *words, "--state-dir", str(state_dir))
    assert status == 2
    assert said in line


@pytest.mark.row("N-7.1")
def test_the_token_does_not_leave_the_machine_in_clear(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for url in ("http://192.0.2.1:8080", "http://localhost.example:8080", "http://0.0.0.0:8080"):
        status, line = failing(capsys, "status", "--url", url, "--state-dir", str(state_dir))
        assert status == 2
        assert "in clear" in line


def answering(status: str, body: bytes) -> Any:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return app


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("200 OK", b"<html>", "is no steering controller (status 200)"),
        ("200 OK", b"[1]", "is no steering controller"),
        ("200 OK", b"\xff\xfe", "is no steering controller"),
        ("200 OK", b"[" * 200_000, "is no steering controller"),
        ("200 OK", b"{}", "versions differ"),
        ("200 OK", b'{"mcps": [7]}', "versions differ"),
        ("302 Found", b"{}", "answers 302"),
        ("500 Broken", b'{"detail": "two\\nlines \\u001b[31m"}', "answers 500: two?lines ?[31m"),
    ],
)
def test_something_else_answers(
    status: str, body: bytes, said: str, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for url in serve(answering(status, body)):
        ended, line = failing(capsys, "mcp", "--state-dir", str(state_dir), "--url", url)
    assert ended == 1
    assert said in line


def test_what_speaks_no_http(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"SSH-2.0-something\r\n")
                peer.recv(4096)

        thread = threading.Thread(target=greet)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        status, line = failing(capsys, "mcp", "--state-dir", str(state_dir), "--url", url)
        thread.join()
    assert status == 1
    assert "speaks no HTTP" in line
