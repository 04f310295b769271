"""`steering check`, as its user calls it, and the files in policies/."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from steering.policy import load_policy, load_site

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "policies").glob("*.yaml"))
SITE = ROOT / "policies" / "off-path.site.yaml"
POLICY = ROOT / "policies" / "default.policy.yaml"


def check(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "steering", "check", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_every_file_that_comes_along_is_good(path: Path) -> None:
    loaders: dict[str, Any] = {"site": load_site, "policy": load_policy}
    result, findings = loaders[path.suffixes[-2].lstrip(".")](str(path))
    assert [str(f) for f in findings] == [] and result is not None


@pytest.mark.row("D-F3")
def test_the_demo_site() -> None:
    site, _ = load_site(str(SITE))
    assert site is not None and site.discover and not site.links
    assert {mcp.name: str(mcp.inside) for mcp in site.mcps} == {"core": "3:1", "edge": "5:1"}
    assert [str(p) for a in site.access_networks for p in a.ports] == ["1:1", "2:1"]


def test_good_files_get_a_summary() -> None:
    done = check("--site", SITE, "--policy", POLICY)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "2 access networks, 1 gateway, 2 MCPs, 5 waypoints, 5 switches; 0 links, more to be discovered\n"
    )


def test_bad_files_get_every_finding_of_both(tmp_path: Path) -> None:
    site = tmp_path / "s.yaml"
    site.write_text(SITE.read_text().replace("source_mode: transparent", "source_mode: shared"))
    policy = tmp_path / "p.yaml"
    policy.write_text("policy: 1\ntimers: {idel: 5}\n")
    done = check("--site", site, "--policy", policy)
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith(f"{site}:") and "needs IPv4 addresses to give" in lines[0]
    assert lines[2] == f"{policy}:2: unknown key 'idel' (did you mean 'idle'?)"


def test_json(tmp_path: Path) -> None:
    good = check("--site", SITE, "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["summary"]["waypoints"] == 5
    bad = check("--site", tmp_path / "none", "--json")
    assert (bad.returncode, bad.stderr) == (2, "")
    answer = json.loads(bad.stdout)
    assert (answer["ok"], answer["summary"]) == (False, None)
    assert answer["findings"] == [
        {
            "file": str(tmp_path / "none"),
            "line": 1,
            "column": 1,
            "code": "unreadable",
            "message": "cannot be read: No such file or directory",
            "suggestion": None,
        }
    ]


def test_a_site_is_needed() -> None:
    done = check("--policy", POLICY)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
