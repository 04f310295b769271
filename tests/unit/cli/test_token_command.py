"""steering token: works on the state directory's file, shows a token once."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from steering.cli.main import main
from steering.model.identity import Identity, Role
from steering.northbound.auth.keyring import TokenExpired, TokenFile
from steering.store.interface import StateError
from steering.store.state_directory import StateDirectory
from steering.store.token_uses import MOST_USES, TokenUses, read_uses
from steering.store.tokens import add, listed

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


def test_the_list_tells_when_a_token_was_used_last_to_the_minute(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = json.loads(token(capsys, tmp_path, "add", "--role", "reader", "--json")[1])
    never = json.loads(token(capsys, tmp_path, "add", "--role", "reader", "--json")[1])
    now = [1_764_441_000.0]
    ring = TokenFile(tmp_path, FIRST, lambda: now[0])
    writes = set()
    for _ in range(100):
        assert ring.identify(used["token"]) is not None
        writes.add((tmp_path / "token-uses.json").stat().st_mtime_ns)
        now[0] += 1.0
    assert len(writes) == 2, "once a minute at most"
    assert ring.identify("x" * 43) is None
    rows = {
        row["id"]: row["last_use"]
        for row in json.loads(token(capsys, tmp_path, "list", "--json")[1])["tokens"]
    }
    assert rows == {used["id"]: "2025-11-29T18:31:00+00:00", never["id"]: None}
    # Another controller on the same state goes on from there, and what is damaged is nothing.
    TokenFile(tmp_path, FIRST, lambda: now[0] + 60).identify(FIRST)
    assert "18:31Z" in token(capsys, tmp_path, "list")[1]
    (tmp_path / "token-uses.json").write_text("[" * 3_000)
    assert "18:31Z" not in token(capsys, tmp_path, "list")[1]


def test_a_token_with_an_end_is_refused_from_then_on_and_listed_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = json.loads(token(capsys, tmp_path, "add", "--role", "reader", "--expires", "30d", "--json")[1])
    ends = datetime.fromisoformat(made["expires"]).timestamp()
    now = [ends - 1]
    ring = TokenFile(tmp_path, FIRST, lambda: now[0])
    assert ring.identify(made["token"]) == Identity(made["id"], Role.READER)
    now[0] = ends
    with pytest.raises(TokenExpired) as over:
        ring.identify(made["token"])
    assert (over.value.identity.id, over.value.expires) == (made["id"], ends)
    assert ring.identify(FIRST) is not None, "the first has no end"
    (row,) = json.loads(token(capsys, tmp_path, "list", "--json")[1])["tokens"]
    assert (row["expires"], row["expired"]) == (made["expires"], False)
    created = datetime.fromisoformat(row["created"]).timestamp()
    assert ends - created == 30 * 86_400
    assert made["expires"][:16] in token(capsys, tmp_path, "list")[1]
    # A use after the end is none.
    assert row["last_use"][:16] == datetime.fromtimestamp(ends - 1, UTC).isoformat()[:16]


def test_the_list_says_what_has_expired_at_80_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number, _ = add(tmp_path, Role.MCP, "", "core", "2025-11-29T18:31:00+00:00", 1_764_441_000)
    add(tmp_path, Role.READER, "prometheus", "", "2025-11-29T18:31:00+00:00")
    TokenUses(StateDirectory(tmp_path)).note(number, 1_764_441_000.0)
    out = token(capsys, tmp_path, "list")[1]
    line = next(line for line in out.splitlines() if line.startswith(number))
    assert line.split()[-1] == "expired" and "2025-11-29T18:30Z" in line
    assert out.count("expired") == 1 and max(map(len, out.splitlines())) <= 80
    assert "created" not in out and "created" in token(capsys, tmp_path, "list", "-o", "wide")[1]


@pytest.mark.parametrize("end", ["true", "-1", "1e9", '"never"', "253402300800"])
def test_an_end_that_is_none_makes_the_file_none_of_ours(tmp_path: Path, end: str) -> None:
    add(tmp_path, Role.READER, "", "", "now", 1_764_441_000)
    path = tmp_path / "tokens.json"
    assert path.read_text().count("1764441000") == 1
    path.write_text(path.read_text().replace("1764441000", end))
    with pytest.raises(StateError, match="none of ours"):
        listed(tmp_path)


def test_uses_are_bounded(tmp_path: Path) -> None:
    uses = TokenUses(StateDirectory(tmp_path))
    for number in range(MOST_USES + 50):
        uses.note(f"{number:08x}", 1e9 + number)
    kept = read_uses(StateDirectory(tmp_path))
    assert len(kept) == MOST_USES and "00000000" not in kept


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("add", "--role", "device", "--address", "10.1.0.2", "--address", "fd00:1::/64", "--json")
    made = json.loads(token(capsys, tmp_path, *words)[1])
    (listed,) = json.loads(token(capsys, tmp_path, "list", "--json")[1])["tokens"]
    assert (listed["id"], listed["role"]) == (made["id"], "device")
    assert listed["addresses"] == ["10.1.0.2/32", "fd00:1::/64"]
    assert json.loads(token(capsys, tmp_path, "revoke", made["id"], "--json")[1]) == {
        "id": made["id"],
        "changed": True,
    }
    assert "no token but" in token(capsys, tmp_path, "list")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "--role", "mcp"], "names its MCP"),
        (["add", "--role", "reader", "--mcp", "core"], "only role mcp"),
        (["add", "--role", "reader", "--name", "a b"], "is no name"),
        (["add", "--role", "reader", "--address", "10.1.0.2"], "only a token of role device"),
        (["add", "--role", "device", "--address", "nowhere"], "does not appear to be"),
        (["add", "--role", "reader", "--expires", "0s"], "from 1s to 3650d"),
        (["add", "--role", "reader", "--expires", "3651d"], "from 1s to 3650d"),
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
