"""The policy file read again, by SIGHUP or because it changed: the same words as `steering check`, or nothing."""

from pathlib import Path

from steering.policy import load_policy, load_site
from steering.runtime.operator import FileWatch, _read
from tests.support.controller_process import LINKS, SITE


def test_findings_are_those_of_the_check_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE + LINKS)
    site, _ = load_site(str(tmp_path / "site.yaml"))
    assert site is not None
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\nrulez: []\nclases: []\n")
    policy, _, findings = _read(str(path), site)
    assert policy is None
    assert [str(f) for f in findings] == [str(f) for f in load_policy(str(path), site)[1]]
    assert str(findings[0]) == f"{path}:2: unknown key 'rulez' (did you mean 'rules'?)"
    path.write_bytes(b"\xef\xbb\xbfpolicy: 1\n")  # what a start takes, a SIGHUP takes
    assert _read(str(path), site)[0] is not None
    policy, _, findings = _read(str(tmp_path / "none.yaml"), site)
    assert policy is None and "cannot be read" in str(findings[0])


def test_a_file_that_is_still_being_written_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n")
    watch = FileWatch(str(path), by_time=True)
    assert not watch.changed()
    seen = []
    for size in range(1, 4):
        path.write_text("policy: 1\n" + "#\n" * size)
        seen.append(watch.changed())
    seen += [watch.changed(), watch.changed()]
    assert seen == [False, False, False, True, False]


def test_a_signal_needs_no_change(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("policy: 1\n")
    watch = FileWatch(str(path), by_time=False)
    watch.ask()
    assert [watch.changed(), watch.changed()] == [True, False]
