"""steering token: works on the state directory's file, shows a token once."""

import json
from pathlib import Path

import pytest

from steering.cli.main import main
from steering.model.identity import Identity, Role
from steering.northbound.auth.keyring import TokenFile

FIRST = "f" * 43


def token(capsys: pytest.CaptureFixture[str], state: Path, *words: str) -> tuple[int, str, str]:
    status = main(["token", *words, "--state-dir", str(state)])
    return status, *capsys.readouterr()


def test_a_token_is_made_used_listed_and_taken_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    status, out, err = token(capsys, state, "add", "--role", "mcp", "--mcp", "core", "--name", "probe")
    assert (status, err) == (0, "")
    told = dict(line.split() for line in out.splitlines())
    ring = TokenFile(state, FIRST)
    assert ring.identify(told["token"]) == Identity(told["id"], Role.MCP, "probe", "core")
    status, out, err = token(capsys, state, "list")
    assert told["id"] in out and "core" in out
    assert told["token"] not in out
    assert token(capsys, state, "revoke", told["id"]) == (0, f"{told['id']} is no token any more\n", "")
    assert ring.identify(told["token"]) is None
    status, out, err = token(capsys, state, "revoke", told["id"])
    assert (status, out) == (1, "")
    assert "no token" in err


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(token(capsys, tmp_path, "add", "--role", "reader", "--json")[1])
    (listed,) = json.loads(token(capsys, tmp_path, "list", "--json")[1])["tokens"]
    assert (listed["id"], listed["role"]) == (made["id"], "reader")
    assert json.loads(token(capsys, tmp_path, "revoke", made["id"], "--json")[1]) == {"id": made["id"]}
    assert "no token but" in token(capsys, tmp_path, "list")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "--role", "mcp"], "names its MCP"),
        (["add", "--role", "reader", "--mcp", "core"], "only role mcp"),
        (["add", "--role", "reader", "--name", "a b"], "is no name"),
    ],
)
def test_bad_usage_is_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    status, out, err = token(capsys, tmp_path, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_an_unsafe_state_directory_is_status_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o777)
    status, out, err = token(capsys, tmp_path, "add", "--role", "reader")
    assert (status, out) == (1, "")
    assert "may be written by others" in err
