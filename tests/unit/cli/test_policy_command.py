"""`steering policy`, offline and against the real northbound over a real store of versions."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.cli import client
from steering.cli.main import main
from steering.model.control import Condition, PolicyOutcome, PolicyText, WhatIf, no_condition
from steering.policy import load_site, parse_policy
from steering.runtime.settings import MOST_PATIENCE
from steering.store.policy_history import History, HistoryError
from steering.store.state_directory import StateDirectory
from tests.support.fixed_view import served
from tests.support.rest_server import state_directory
from tests.support.timed_requests import timed_requests

FOLDER = Path(__file__).resolve().parents[3] / "policies"
SITE = str(FOLDER / "off-path.site.yaml")
FIRST = "policy: 1\n# the first, kürzer\nrules:\n  - {name: web, when: {port: 443}, then: {}}\n"
SECOND = FIRST + "  - {name: rest, then: {action: bypass}}\n"


class Kept:
    """Implements steering.model.control.Control over the store of versions; the site is the demo's."""

    def __init__(self, folder: Path) -> None:
        self.history = History(StateDirectory(folder))
        self.history.apply(FIRST, "start", 1_790_000_000.0)
        self.site, _ = load_site(SITE)
        self.meanwhile: Callable[[], object] = lambda: None

    def give(self, given: Any) -> None:
        raise AssertionError("the policy's commands give the engine nothing")

    def take(self, given: Any) -> None:
        raise AssertionError("the policy's commands give the engine nothing")

    def whatif(self, question: WhatIf) -> dict[str, Any]:
        raise AssertionError("the policy's commands ask no decision")

    def policy(self) -> PolicyText:
        current = self.history.current()
        assert current is not None
        return PolicyText(current.version, current.text)

    def replace_policy(
        self, text: str, who: str, dry_run: bool, unchanged: Condition = no_condition
    ) -> PolicyOutcome:
        policy, findings = parse_policy(text, "policy", self.site)
        if policy is None:
            return PolicyOutcome(self.policy().version, [one.as_json() for one in findings], False)
        self.meanwhile()
        if not dry_run:
            unchanged()
            self.history.apply(text, who, 1_790_000_100.0)
        return PolicyOutcome(self.policy().version, [], True)

    def policy_versions(self) -> list[dict[str, Any]]:
        return [version.as_json() for version in reversed(self.history.versions())]

    def policy_version(self, version: int) -> PolicyText | None:
        try:
            return PolicyText(version, self.history.read(version).text)
        except HistoryError:
            return None

    def rollback_policy(
        self, version: int, who: str, unchanged: Condition = no_condition
    ) -> PolicyOutcome | None:
        unchanged()
        try:
            made = self.history.rollback(version, who, 1_790_000_200.0)
        except HistoryError:
            return None
        return PolicyOutcome(made.version, [], True)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "kept")


@pytest.fixture
def state_dir(tmp_path: Path, kept: Kept) -> Iterator[Path]:
    yield from state_directory(tmp_path / "state", served(control=kept))


Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def offline(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*words: str | Path) -> Ran:
        try:
            status = main(["policy", *map(str, words)])
        except SystemExit as ended:  # bad usage
            status = int(str(ended.code))
        out, err = capsys.readouterr()
        return status, out, err

    return command


@pytest.fixture
def run(offline: Run, state_dir: Path) -> Run:
    return lambda *words: offline(*words, "--state-dir", state_dir)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / f"{len(list(tmp_path.glob('*.yaml')))}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


Write = Callable[[str], Path]


# ---- without a controller ----------------------------------------------------------------------


def test_check(offline: Run, file: Write) -> None:
    good, bad = file(SECOND), file("policy: 1\nrules:\n  - {name: a, then: {mcps: cor}}\n")
    assert offline("check", good) == (0, f"{good}: no finding; 2 rules\n", "")
    assert offline("check", "--site", SITE, good, good) == (0, "2 files: no finding; 4 rules\n", "")
    assert offline("check", bad)[0] == 0  # which MCPs there are, only a site says
    status, out, err = offline("check", good, bad, "--site", SITE)
    assert (status, out) == (2, "")
    assert err == f"{bad}:3: rule 'a': no MCP is called 'cor' (did you mean 'core'?)\n"
    status, out, err = offline("check", bad, "--site", SITE, "--json")
    assert (status, err, json.loads(out)["findings"][0]["code"]) == (2, "", "unknown-mcp")
    assert offline("check", bad.with_suffix(".none"))[0] == 2
    assert offline("check", "--site", bad, good)[0] == 2


def test_diff_of_two_files(offline: Run, file: Write) -> None:
    one, two = file(FIRST), file(SECOND)
    assert offline("diff", one, two) == (0, "rule 'rest' added at place 2\n", "")
    assert offline("diff", two, one) == (0, "rule 'rest' removed\n", "")
    assert offline("diff", one, one) == (0, "no difference\n", "")
    status, out, _ = offline("diff", one, two, "--json")
    (change,) = json.loads(out)["changes"]
    assert (status, change["kind"], change["name"]) == (0, "added", "rest")
    status, out, err = offline("diff", one, file("policy: 3\n"))
    assert (status, out) == (2, "") and "version '3'" in err


@pytest.mark.parametrize(
    "words", [(), ("apply",), ("rollback",), ("rollback", "0"), ("rollback", "-1"), ("check",), ("undo",)]
)
def test_bad_usage(words: tuple[str, ...], offline: Run) -> None:
    status, out, err = offline(*words)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1


@pytest.mark.parametrize("words", [("show",), ("history",), ("rollback", "1")])
def test_no_controller(words: tuple[str, ...], offline: Run, tmp_path: Path) -> None:
    status, out, err = offline(*words, "--state-dir", tmp_path)
    assert (status, out) == (1, "") and "no controller runs here" in err


# ---- with one ----------------------------------------------------------------------------------


def test_show(run: Run) -> None:
    assert run("show") == (0, FIRST, "")
    status, out, _ = run("show", "--json")
    assert (status, json.loads(out)) == (0, {"version": 1, "text": FIRST})


def test_what_is_shown_cannot_drive_a_terminal(run: Run, kept: Kept) -> None:
    kept.history.apply("policy: 1\n# \x1b[31mred\u202e\tx\n", "ann", 2.0)
    assert run("show") == (0, "policy: 1\n# ?[31mred?\tx\n", "")


def test_diff_against_the_running_one(run: Run, file: Write) -> None:
    assert run("diff", file(SECOND)) == (0, "rule 'rest' added at place 2\n", "")


def test_apply_and_history_and_rollback(run: Run, file: Write, kept: Kept) -> None:
    path = file(SECOND)
    added = "rule 'rest' added at place 2\n"
    assert run("apply", path, "--dry-run") == (0, f"{added}{path} would be applied; 1 change\n", "")
    assert kept.policy().text == FIRST
    assert run("apply", path) == (0, f"{added}{path} is in force as version 2; 1 change\n", "")
    assert kept.policy().text == SECOND
    assert run("rollback", "1") == (0, "version 1 is in force again, as version 3\n", "")
    assert kept.policy() == PolicyText(3, FIRST)
    status, out, _ = run("history")
    rows = [line.split() for line in out.splitlines()]
    assert status == 0 and rows[0][:3] == ["version", "in", "force"]
    assert [row[:2] for row in rows[2:]] == [["1", "no"], ["2", "no"], ["3", "yes"]]
    assert "rolled back to version 1" in out and rows[2][4] == "start"
    assert run("rollback", "1") == (0, "version 1 is in force already, as version 3\n", "")
    same = file(FIRST)
    assert run("apply", same) == (0, f"{same} is in force as version 3; 0 changes\n", "")
    assert kept.policy() == PolicyText(3, FIRST)
    status, out, _ = run("history", "--json")
    assert [item["version"] for item in json.loads(out)["versions"]] == [1, 2, 3]


def test_the_policy_in_force_that_is_replaced_while_it_is_checked_is_not_told_as_in_force(
    run: Run, file: Write, kept: Kept
) -> None:
    kept.meanwhile = lambda: kept.history.apply(SECOND, "its file", 1_790_000_050.0)
    status, out, err = run("apply", file(FIRST))
    assert (status, out) == (1, "") and "changed meanwhile" in err
    assert kept.policy() == PolicyText(2, SECOND)


def test_a_policy_is_waited_for_longer_than_any_cell_takes(
    run: Run, file: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its controllers agree first, for a minute or more, and the one before it may do so too."""
    timed = timed_requests(monkeypatch)
    assert run("apply", file(SECOND))[0] == 0
    assert timed == [("GET", client.TIMEOUT), ("PUT", client.AGREED_TIMEOUT)]
    timed.clear()
    assert run("rollback", "1")[0] == 0
    assert timed == [("GET", client.TIMEOUT), ("GET", client.TIMEOUT), ("POST", client.AGREED_TIMEOUT)]
    assert client.AGREED_TIMEOUT > 2 * MOST_PATIENCE


def test_json_of_changes(run: Run, file: Write) -> None:
    status, out, _ = run("apply", file(SECOND), "--json")
    body = json.loads(out)
    assert (status, body["version"], body["dry_run"], body["findings"]) == (0, 2, False, [])
    assert [change["name"] for change in body["changes"]] == ["rest"]
    status, out, _ = run("rollback", "1", "--json")
    assert (status, json.loads(out)["version"]) == (0, 3)


def test_the_controller_knows_its_site(run: Run, file: Write, kept: Kept) -> None:
    path = file("policy: 1\nrules:\n  - {name: a, then: {mcps: cor}}\n")
    status, out, err = run("apply", path)
    assert (status, kept.policy().text) == (2, FIRST) and "rule 'a' added" not in out
    assert err.splitlines()[0] == f"{path}:3: rule 'a': no MCP is called 'cor' (did you mean 'core'?)"
    assert "the one in force stays" in err.splitlines()[-1]
    status, out, _ = run("apply", path, "--json")
    assert status == 2 and json.loads(out)["errors"][0]["code"] == "unknown-mcp"


def test_a_bad_file_is_not_even_sent(offline: Run, file: Write, tmp_path: Path) -> None:
    status, out, err = offline("apply", file("policy: 1\nrule: []\n"), "--state-dir", tmp_path)
    assert (status, out) == (2, "") and err.endswith("unknown key 'rule' (did you mean 'rules'?)\n")


def test_somebody_else_was_faster(run: Run, file: Write, kept: Kept) -> None:
    status, out, err = run("apply", file(SECOND), "--if-match", '"0123"')
    assert (status, out, kept.policy().text) == (1, "", FIRST)
    assert "the policy was changed meanwhile" in err and len(err.splitlines()) == 1


def test_no_such_version(run: Run) -> None:
    status, out, err = run("rollback", "77")
    assert (status, out) == (1, "") and err == "steering: no version '77' of the policy is kept\n"


def test_a_running_policy_this_program_cannot_read_can_be_replaced(run: Run, file: Write, kept: Kept) -> None:
    kept.history.apply("policy: 9\n", "other", 2.0)
    path = file(SECOND)
    status, out, err = run("diff", path)
    assert (status, out) == (
        1,
        "",
    ) and "none that this program can read: (running):1: policy: version '9'" in err
    assert run("apply", path) == (0, f"{path} is in force as version 3; 0 changes\n", "")
