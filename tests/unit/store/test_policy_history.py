"""The versioned store of policies."""

import json
import os
import stat
from pathlib import Path

import pytest

from steering.store.policy_history import KEPT, MAX_TEXT, History, HistoryError
from steering.store.state_directory import StateDirectory


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(StateDirectory(tmp_path / "state"))


def test_nothing_before_the_first(history: History, tmp_path: Path) -> None:
    assert (history.numbers(), history.versions(), history.current()) == ([], [], None)
    with pytest.raises(HistoryError, match="no version 1"):
        history.read(1)
    assert not (tmp_path / "state").exists()  # reading makes nothing


def test_apply_and_roll_back(history: History) -> None:
    one = history.apply("policy: 1\n", "ann", 1000.0, "first")
    two = history.apply("policy: 1\n# two ü \ud800\n", "bob", 2000.5)
    assert (one.version, two.version) == (1, 2)
    assert history.current() == two and history.read(1) == one
    three = history.rollback(1, "cyd", 3000.0)
    assert (three.version, three.text, three.who) == (3, one.text, "cyd")
    assert three.comment == "rolled back to version 1" and three.sha256 == one.sha256
    assert [version.version for version in history.versions()] == [3, 2, 1]
    assert one.as_json() == {
        "version": 1,
        "time": "1970-01-01T00:16:40+00:00",
        "who": "ann",
        "comment": "first",
        "digest": one.sha256,
    }


def test_the_same_text_again_is_the_version_it_is(history: History) -> None:
    one = history.apply("a", "ann", 1.0)
    assert history.apply("a", "bob", 2.0) == one and history.rollback(1, "bob", 3.0) == one
    assert history.numbers() == [1]


def test_only_so_many_are_kept_and_no_number_comes_twice(history: History) -> None:
    for number in range(1, KEPT + 6):
        assert history.apply(f"text {number}", "ann", float(number)).version == number
    assert history.numbers() == list(range(KEPT + 5, 5, -1))
    with pytest.raises(HistoryError, match="no version 5"):
        history.rollback(5, "ann", 1.0)


def test_files_are_the_owners_and_whole(history: History, tmp_path: Path) -> None:
    history.apply("a", "ann", 1.0)
    folder = tmp_path / "state" / "policies"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == ["1.json"]  # nothing half-written beside it
    assert stat.S_IMODE((folder / "1.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("spoil", ["", "[]", "{", '{"version": 1}', "\x00"])
def test_a_damaged_version_is_named_and_in_nobodys_way(history: History, tmp_path: Path, spoil: str) -> None:
    history.apply("a", "ann", 1.0)
    history.apply("b", "ann", 2.0)
    (tmp_path / "state" / "policies" / "2.json").write_text(spoil)
    with pytest.raises(HistoryError, match="version 2 of the policy is damaged"):
        history.current()
    assert [version.version for version in history.versions()] == [1]
    assert history.apply("c", "ann", 3.0).version == 3


@pytest.mark.parametrize(("key", "value"), [("text", "b"), ("version", 2), ("when", -1), ("who", None)])
def test_a_version_that_was_changed_is_damaged(
    history: History, tmp_path: Path, key: str, value: object
) -> None:
    history.apply("a", "ann", 1.0)
    path = tmp_path / "state" / "policies" / "1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    with pytest.raises(HistoryError, match="damaged"):
        history.read(1)


def test_other_files_are_no_versions(history: History, tmp_path: Path) -> None:
    history.apply("a", "ann", 1.0)
    for name in ("0.json", "01.json", "x.json", "2.json.bak", ".new-abc", "9999999999.json"):
        (tmp_path / "state" / "policies" / name).write_text("{}")
    assert history.numbers() == [1]


def test_two_writers_do_not_overwrite_each_other(history: History, tmp_path: Path) -> None:
    """The second one finds the number taken: `link` refuses where `rename` would replace."""
    history.apply("a", "ann", 1.0)
    late = History(StateDirectory(tmp_path / "state"))
    late.numbers = lambda: []  # type: ignore[method-assign]  # what it saw before the first wrote
    with pytest.raises(HistoryError, match="version 1 was written by another process"):
        late.apply("b", "bob", 2.0)
    assert history.read(1).text == "a"
    assert os.listdir(tmp_path / "state" / "policies") == ["1.json"]


def test_bounds(history: History, tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="more than"):
        history.apply("x" * (MAX_TEXT + 1), "ann", 1.0)
    version = history.apply("a", "ann\n" + "x" * 1000, 1.0, "\x1b[31m")
    assert len(version.who) == 200 and version.who.isprintable() and version.comment == " [31m"
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(HistoryError, match="cannot be"):
        History(StateDirectory(blocked)).apply("a", "ann", 1.0)
