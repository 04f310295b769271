"""What docs/fifteen-minutes.rst installs is the package that `make deb` builds, and nothing of the page is left out of its test."""

import re
import subprocess
from pathlib import Path

import steering
from tests.packaging import first_session
from tests.support import fifteen_minutes

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_installs_the_package_that_is_built() -> None:
    name = fifteen_minutes.package()
    build = (ROOT / "packaging" / "deb.sh").read_text()
    assert 'steering_${VERSION}_${ARCHITECTURE}.deb"' in build
    assert re.fullmatch(rf"steering_{re.escape(steering.__version__)}_[a-z0-9]+\.deb", name)


def test_every_block_of_the_page_is_installed_written_or_run(tmp_path: Path) -> None:
    text = fifteen_minutes.PAGE.read_text()
    blocks = fifteen_minutes.blocks()
    assert len(blocks) == text.count(".. code-block::") > 6
    assert not re.search(r"[^:]::$", text, re.M), "a literal block would be read and not run"
    script = fifteen_minutes.write_page(tmp_path, "set -e\n")
    run = script.read_text()
    for kind, caption, commands in blocks:
        if kind == "yaml":
            assert (tmp_path / caption).read_text() == commands
        else:
            assert (commands in run) is (caption != fifteen_minutes.INSTALLS)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_what_the_page_promises_is_missed_where_it_is_not_printed() -> None:
    out = """\
s1-wlan core
1  established  core  10.1.0.2:40000  10.9.0.2:8000  2  3s
outcome  proxy, MCP core
clock: nobody sets it (mend: timedatectl set-ntp true)
"""
    err = "site.yaml is written and passes\n"
    assert fifteen_minutes.missed(out, err) == []
    assert len(fifteen_minutes.missed("", "")) == 4
    (one,) = fifteen_minutes.missed(out.replace(" 2  3s", " 1  3s"), err)
    assert "two subflows" in one
    (other,) = fifteen_minutes.missed(out + "limits: none (mend: ip mptcp limits set subflow 2)\n", err)
    assert "doctor" in other


def test_deb_test_runs_the_page_in_the_root_that_it_made() -> None:
    script = (ROOT / "packaging" / "deb-test.sh").read_text()
    assert '.venv/bin/python -m tests.packaging.first_session "$ROOT" "$DEB"' in script


def test_a_page_that_does_not_end_is_stopped_and_what_it_said_is_kept() -> None:
    done = first_session.run_within(["sh", "-c", "echo waiting; exec sleep 600"], 5.0)
    assert done.returncode == first_session.TOO_LONG
    assert done.stdout == "waiting\n" and "not over after 5 s" in done.stderr


def test_the_page_is_followed_where_the_package_did_what_it_does_on_a_booted_machine() -> None:
    assert "tmpfiles" in first_session.MOUNTS and "steering.postinst configure" in first_session.BOOTED
