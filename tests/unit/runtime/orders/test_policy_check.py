"""A large policy is checked by a process of its own, and its answer is read in pieces; what comes of it is the same."""

import logging
import pickle
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from steering.model.network import Site
from steering.model.policy import Policy
from steering.policy import Code, load_site, parse_policy
from steering.policy.policy_process import MOST_PIECE, PIECE, joined, pieces, question
from steering.runtime.orders import policy_check
from steering.runtime.orders.policy_check import LARGE, ProcessFailed, checked
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


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that were begun."""
    processes: list[Any] = []
    begin = policy_check.subprocess.Popen

    def noting(*args: Any, **options: Any) -> Any:
        processes.append(begin(*args, **options))
        return processes[-1]

    monkeypatch.setattr(policy_check.subprocess, "Popen", noting)
    return processes


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("import time; time.sleep(60)", "it takes longer than 0.2 s"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "signal 9 ended the process that checked it",
        ),
    ],
)
def test_what_a_process_does_not_finish_is_refused_and_not_begun_again_in_the_controller(
    site: Site, what: str, told: str, begun: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_check, "_COMMAND", program(what))
    monkeypatch.setattr(policy_check, "parse_policy", unthreaded)
    if "sleep" in what:
        monkeypatch.setattr(policy_check, "PATIENCE", 0.2)
    policy, (finding,) = checked(text_of(3 * PIECE), "policy.yaml", site)
    assert policy is None
    assert (finding.file, finding.code, finding.message) == (
        "policy.yaml",
        Code.TOO_LARGE,
        f"it cannot be checked: {told}",
    )
    assert [process.returncode for process in begun] == [-9], "no child is left"


NO_FINDINGS: list[object] = []


@pytest.mark.parametrize(
    "answer",
    [
        pickle.dumps(7),
        pickle.dumps((1, 2)),
        pickle.dumps(("a policy", NO_FINDINGS, {})),
        pickle.dumps((None, 5, {})),
        pickle.dumps((None, NO_FINDINGS, None)),
        pickle.dumps((Policy(), NO_FINDINGS, {"rules": 3})) + pickle.dumps(5),
        pickle.dumps((Policy(), NO_FINDINGS, {"rulez": 1})) + pickle.dumps((5,)),
        pickle.dumps((Policy(), NO_FINDINGS, {"rules": "3"})),
        b"cnowhere\nthing\n.",
        b"csteering.policy\nnothing\n.",
        b"\x80\x05\x95",
    ],
)
def test_an_answer_that_is_none_is_a_failed_process_whatever_is_wrong_with_it(
    site: Site, answer: bytes, begun: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    telling = f"import sys\nsys.stdin.buffer.read()\nsys.stdout.buffer.write({answer!r})"
    monkeypatch.setattr(policy_check, "_COMMAND", program(telling))
    text = text_of(3 * PIECE)
    with pytest.raises(ProcessFailed):
        policy_check._by_process(question(text, "policy", site))
    assert checked(text, "policy", site) == parse_policy(text, "policy", site)
    assert [process.returncode for process in begun] == [0, 0]


def subscribers(count: int, prefixes: int) -> str:
    lines = ["policy: 1", "subscribers:"]
    for one in range(count):
        hosts = ", ".join(f"10.{one}.{host // 256}.{host % 256}/32" for host in range(prefixes))
        lines.append(f"  - {{id: s{one}, prefixes: [{hosts}]}}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "text",
    [text_of(3 * PIECE + 5), subscribers(PIECE + 1, 256), subscribers(PIECE, 200)],
    ids=["rules", "subscribers", "as many as a piece may have"],
)
def test_the_answer_is_read_some_bytes_at_a_time(text: str) -> None:
    wanted = parse_policy(text, "policy")
    assert wanted[0] is not None
    parts = list(pieces(wanted))
    assert max(map(len, parts)) <= MOST_PIECE
    assert len(parts) < 4 * len(b"".join(parts)) / MOST_PIECE + 4, "and not in crumbs"
    pauses: list[None] = []
    assert joined(BytesIO(b"".join(parts)), lambda: pauses.append(None)) == wanted
    assert len(pauses) == len(parts) - 1, "others have their turn before each"
    with pytest.raises(EOFError):
        joined(BytesIO(b"".join(parts[:-1])), lambda: None)


def test_one_element_that_is_larger_is_a_piece_by_itself() -> None:
    wanted = parse_policy(subscribers(3, 1_000), "policy")
    parts = list(pieces(wanted))
    assert len(parts) == 1 + 3 and min(map(len, parts[1:])) > MOST_PIECE > len(parts[0])
    assert joined(BytesIO(b"".join(parts)), lambda: None) == wanted
