"""The file of tokens: hashes only, private, read again when it changes, nobody when it is broken."""

import json
import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from steering.model.identity import Identity, Role
from steering.northbound.auth.keyring import TokenFile
from steering.store import tokens
from steering.store.interface import StateError
from steering.store.state_directory import StateDirectory
from steering.store.token_uses import USES_FILE, read_uses
from steering.store.tokens import FIRST

FIRST_TOKEN = "f" * 43


def add(state: Path, role: Role = Role.READER, name: str = "", mcp: str = "") -> tuple[str, str]:
    return tokens.add(state, role, name, mcp, "2026-11-21T00:00:00+00:00")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def test_the_first_token_is_the_operators(state: Path) -> None:
    ring = TokenFile(state, FIRST_TOKEN)
    assert ring.identify(FIRST_TOKEN) == Identity(FIRST, Role.OPERATOR, FIRST)
    assert ring.identify("x" * 43) is None


@pytest.mark.row("S-14", "N-7.1")
def test_a_token_is_told_once_and_kept_as_a_hash(state: Path) -> None:
    number, token = add(state, Role.MCP, "probe", "core")
    path = state / tokens.TOKENS_FILE
    assert path.stat().st_mode & 0o777 == 0o600
    for file in state.iterdir():
        assert token not in file.read_text()
    assert len(token) >= 43
    ring = TokenFile(state, FIRST_TOKEN)
    assert ring.identify(token) == Identity(number, Role.MCP, "probe", "core")


@pytest.mark.row("S-14")
def test_a_devices_token_keeps_what_it_may_be_paired_with(state: Path) -> None:
    number, token = tokens.add(state, Role.DEVICE, "cpe-1", "", "now", None, ["10.1.0.2", "fd00:1::/64"])
    own = (ip_network("10.1.0.2/32"), ip_network("fd00:1::/64"))
    assert TokenFile(state, FIRST_TOKEN).identify(token) == Identity(
        number, Role.DEVICE, "cpe-1", addresses=own
    )
    for role, addresses, said in (
        (Role.READER, ["10.1.0.2"], "only a token of role device"),
        (Role.DEVICE, ["10.1.0.2/24"], "host bits"),
        (Role.DEVICE, ["10.1.0.2"] * (tokens.MOST_ADDRESSES + 1), "at most"),
    ):
        with pytest.raises(ValueError, match=said):
            tokens.add(state, role, "", "", "now", None, addresses)
    path = state / tokens.TOKENS_FILE
    whole = path.read_text()
    for wrong in ('"10.1.0.2"', "{}", "[1]", '["nowhere"]', "null"):
        told = json.loads(whole)
        told["tokens"][0]["addresses"] = json.loads(wrong)
        path.write_text(json.dumps(told))
        with pytest.raises(StateError, match="none of ours"):
            tokens.listed(state)


def test_a_running_controller_sees_what_is_added_and_revoked(state: Path) -> None:
    ring = TokenFile(state, FIRST_TOKEN)
    number, token = add(state)
    other, kept = add(state, Role.DEVICE)
    assert ring.identify(token) == Identity(number, Role.READER)
    assert tokens.revoke(state, number)
    assert ring.identify(token) is None
    assert ring.identify(kept) == Identity(other, Role.DEVICE)
    assert not tokens.revoke(state, number)


@pytest.mark.parametrize(
    "damage",
    ["", "{", '{"tokens": [{}]}', '{"tokens": 1}', "[" * 3000, '{"tokens": [{"id": "x"}]}'],
)
def test_a_broken_file_is_nobody(state: Path, damage: str) -> None:
    _, token = add(state)
    ring = TokenFile(state, FIRST_TOKEN)
    assert ring.identify(token)
    (state / tokens.TOKENS_FILE).write_text(damage)
    assert ring.identify(token) is None
    assert ring.identify(FIRST_TOKEN)
    with pytest.raises(StateError, match="not a file of tokens"):
        add(state)


def test_a_file_that_others_may_read_is_nobody(state: Path) -> None:
    _, token = add(state)
    ring = TokenFile(state, FIRST_TOKEN)
    assert ring.identify(token)
    (state / tokens.TOKENS_FILE).chmod(0o644)
    assert ring.identify(token) is None


def test_a_token_of_role_mcp_names_one_and_no_other_does(state: Path) -> None:
    with pytest.raises(ValueError, match="names its MCP"):
        add(state, Role.MCP)
    with pytest.raises(ValueError, match="only role mcp"):
        add(state, Role.OPERATOR, mcp="core")
    with pytest.raises(ValueError, match="is no name"):
        add(state, Role.READER, "a\nb")
    assert tokens.listed(state) == []


def test_an_edited_record_without_its_mcp_is_no_token(state: Path) -> None:
    add(state, Role.MCP, mcp="core")
    path = state / tokens.TOKENS_FILE
    told = json.loads(path.read_text())
    told["tokens"][0]["mcp"] = ""
    path.write_text(json.dumps(told))
    with pytest.raises(StateError):
        tokens.listed(state)


def test_the_number_of_tokens_is_bounded(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_TOKENS", 2)
    add(state)
    add(state)
    with pytest.raises(StateError, match="revoke some"):
        add(state)


def test_nothing_is_left_behind(state: Path) -> None:
    number, _ = add(state)
    tokens.revoke(state, number)
    assert sorted(os.listdir(state)) == [tokens.TOKENS_FILE, tokens.LOCK_FILE]


@pytest.mark.parametrize(
    "uses",
    [
        '{"first": 1e999}',
        '{"first": NaN}',
        '{"first": null}',
        "[]",
        "7",
        '{"first": "1"}',
        '{"first": 1000000000000000000000000000000, "other": -1}',
        '{"first": -1e999}',
    ],
)
def test_crooked_times_of_last_uses_cost_themselves_and_never_a_start(state: Path, uses: str) -> None:
    StateDirectory(state).write(USES_FILE, f'{{"uses": {uses}}}')
    ring = TokenFile(state, FIRST_TOKEN, clock=lambda: 5_000.0)
    assert ring.identify(FIRST_TOKEN) == Identity(FIRST, Role.OPERATOR, FIRST)
    assert read_uses(StateDirectory(state)) == {FIRST: 5_000}


def test_after_a_clock_that_was_ahead_uses_are_noted_again(state: Path) -> None:
    StateDirectory(state).write(USES_FILE, f'{{"uses": {{"{FIRST}": 2000000000}}}}')
    TokenFile(state, FIRST_TOKEN, clock=lambda: 5_000.0).identify(FIRST_TOKEN)
    assert read_uses(StateDirectory(state)) == {FIRST: 5_000}
