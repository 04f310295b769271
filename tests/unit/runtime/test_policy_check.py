"""A large policy is checked by a process of its own, and its answer is read in pieces; what comes of it is the same."""

import logging
import sys
from io import BytesIO
from pathlib import Path

import pytest

from steering.model.network import Site
from steering.policy import load_site, parse_policy
from steering.policy.policy_process import PIECE, joined, pieces
from steering.runtime import policy_check
from steering.runtime.policy_check import LARGE, checked
from tests.support.controller_process import LINKS, SITE


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.yaml").write_text(SITE + LINKS)
    found, _ = load_site(str(tmp_path / "site.yaml"))
    assert found is not None
    return found


def text_of(rules: int, more: str = "") -> str:
    lines = [
        f"  - {{name: r{n}, when: {{destination: [198.18.{n // 250}.{n % 250}/32]}}, then: {{action: deny}}}}"
        for n in range(rules)
    ]
    return "policy: 1\nrules:\n" + "\n".join(lines) + f"\n{more}"


def unthreaded(*_: object) -> object:
    raise AssertionError("a thread shares the interpreter's lock with the hub")


@pytest.mark.parametrize("more", ["", "rulez: []\n"])
def test_a_large_policy_is_checked_in_a_process_with_the_same_result(
    site: Site, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_of(3 * PIECE, more)
    assert len(text) > LARGE
    wanted = parse_policy(text, "policy", site)
    assert (wanted[0] is None) == bool(wanted[1]) == bool(more)
    monkeypatch.setattr(policy_check, "parse_policy", unthreaded)
    assert checked(text, "policy", site) == wanted


def test_a_small_one_needs_no_process(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_check, "_by_process", unthreaded)
    text = text_of(3)
    assert checked(text, "policy", site) == parse_policy(text, "policy", site)


@pytest.mark.parametrize("command", [("/bin/false",), ("/bin/true",), ("/bin/echo", "hello"), ("/nowhere",)])
def test_where_the_process_tells_nothing_a_thread_checks(
    site: Site, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(policy_check, "_COMMAND", command)
    text = text_of(3 * PIECE)
    with caplog.at_level(logging.WARNING):
        assert checked(text, "policy", site) == parse_policy(text, "policy", site)
    assert "checked in a thread" in caplog.text


def program(text: str) -> tuple[str, ...]:
    return (sys.executable, "-P", "-c", text)


def test_a_process_that_may_not_be_nice_checks_all_the_same(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbidden = "def nice(_): raise PermissionError"
    monkeypatch.setattr(
        policy_check,
        "_COMMAND",
        program(
            f"import os\n{forbidden}\nos.nice = nice\nfrom steering.policy.policy_process import main\nmain()"
        ),
    )
    text = text_of(3 * PIECE)
    wanted = parse_policy(text, "policy", site)
    monkeypatch.setattr(policy_check, "parse_policy", unthreaded)
    assert checked(text, "policy", site) == wanted


def test_a_directory_that_the_controller_starts_in_lends_it_no_program(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "steering").mkdir()
    (tmp_path / "steering" / "__init__.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    text = text_of(3 * PIECE)
    wanted = parse_policy(text, "policy", site)
    monkeypatch.setattr(policy_check, "parse_policy", unthreaded)
    assert checked(text, "policy", site) == wanted


def test_the_answer_is_read_a_few_rules_at_a_time() -> None:
    wanted = parse_policy(text_of(3 * PIECE + 5), "policy")
    parts = list(pieces(wanted))
    assert len(parts) == 1 + 4
    assert max(map(len, parts)) < len(b"".join(parts)) / 3
    pauses: list[None] = []
    assert joined(BytesIO(b"".join(parts)), lambda: pauses.append(None)) == wanted
    assert len(pauses) == 4, "others have their turn before each"
    with pytest.raises(EOFError):
        joined(BytesIO(b"".join(parts[:-1])), lambda: None)
