"""`--json` of a command that changes something says whether anything is other than before, for programs that repeat an order (Ansible's
`changed_when`). Each order is given twice, to a controller with an engine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.cli.main import main
from steering.core.inputs import McpReport
from steering.store import credentials
from tests.support.fixed_view import TOKEN
from tests.support.live_page import LivePage
from tests.support.rest_server import serve
from tests.support.sites import off_path_site

POLICY = (
    "policy: 1\nclasses: [{name: gold}]\nsubscribers:\n  - {id: s-1, class: gold, prefixes: [10.1.0.16/28]}\n"
)
ACL = {"entries": [{"name": "no-smtp", "action": "deny", "port": ["25"]}]}


@pytest.fixture
def live() -> LivePage:
    return LivePage(off_path_site())


@pytest.fixture
def state_dir(tmp_path: Path, live: LivePage) -> Iterator[Path]:
    (tmp_path / "token").write_text(TOKEN + "\n")
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "acl.json").write_text(json.dumps(ACL))
    for url in serve(live.north.application):
        credentials.write_rest_url(tmp_path, url)
        yield tmp_path


def changed(capsys: pytest.CaptureFixture[str], state_dir: Path, line: str) -> bool:
    """What the command's JSON says; `@name` is a file of the state directory."""
    words = [str(state_dir / word[1:]) if word.startswith("@") else word for word in line.split()]
    assert main([*words, "--json", "--state-dir", str(state_dir)]) == 0, capsys.readouterr().err
    told = json.loads(capsys.readouterr().out)
    assert type(told["changed"]) is bool, told
    return bool(told["changed"])


@pytest.mark.parametrize(
    ("order", "back"),
    [
        ("mcp drain core", "mcp undrain core"),
        ("access set lte --trust third-party", "access set lte --trust operator"),
        ("access offload lte wlan", "access offload lte --back"),
        ("link set s1:2-s3:2 --weight 3", "link reset s1:2-s3:2"),
        ("acl set @acl.json", None),
        ("registry add s-1 10.1.0.17", "registry add s-1 10.1.0.18 --deny"),
        ("pairing set cpe-1 10.1.0.17", "pairing set cpe-1 10.1.0.18"),
        ("policy apply @policy.yaml", "policy rollback 1"),
        ("policy clock --offset 60", "policy clock --offset 0"),
    ],
)
def test_an_order_that_is_repeated_changes_nothing(
    order: str, back: str | None, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert [changed(capsys, state_dir, order) for _ in range(2)] == [True, False]
    if back is not None:
        assert [changed(capsys, state_dir, back) for _ in range(2)] == [True, False]
        assert changed(capsys, state_dir, order)


def test_a_dead_mcp_that_drains_already_is_as_it_was(
    live: LivePage, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert changed(capsys, state_dir, "mcp drain core")
    (core,) = (mcp for mcp in live.get("/v1/mcps")["mcps"] if mcp["name"] == "core")
    live.driver.give(McpReport(core["id"], False, None))
    assert live.get("/v1/mcps/core")["health"] == "down"
    assert not changed(capsys, state_dir, "mcp drain core")


def test_what_would_change_is_said_without_a_change(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    trial = "policy apply @policy.yaml --dry-run"
    assert [changed(capsys, state_dir, trial) for _ in range(2)] == [True, True]
    assert changed(capsys, state_dir, "policy apply @policy.yaml") and not changed(capsys, state_dir, trial)


def test_what_is_as_it_is_wanted_is_no_update(
    live: LivePage, capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert changed(capsys, state_dir, "access set lte --trust third-party")
    given = len(live.control.given)
    assert not changed(capsys, state_dir, "access set lte --trust third-party")
    assert live.get("/v1/access-networks/lte")["sequence"] == 1 and len(live.control.given) == given


def test_a_subscribers_accesses(capsys: pytest.CaptureFixture[str], state_dir: Path) -> None:
    changed(capsys, state_dir, "policy apply @policy.yaml")
    order, back = "subscriber set s-1 --allowed wlan", "subscriber reset s-1"
    assert [changed(capsys, state_dir, line) for line in (order, order, back, back)] == [
        True,
        False,
        True,
        False,
    ]
    assert changed(capsys, state_dir, f"{order} --sequence 9"), "who numbers its updates itself has it sent"


def test_a_token_that_is_made_or_taken_back_is_a_change(
    capsys: pytest.CaptureFixture[str], state_dir: Path
) -> None:
    assert changed(capsys, state_dir, "token add --role reader --name a")
    assert main(["token", "list", "--json", "--state-dir", str(state_dir)]) == 0
    (made,) = json.loads(capsys.readouterr().out)["tokens"]
    assert changed(capsys, state_dir, f"token revoke {made['id']}")
