"""link, subscriber, acl, registry, pairing, binding, topology, policy clock, access offload and mcp discovery against
the real northbound."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from steering.cli.main import main
from steering.core.inputs import LinkWeighed, Offload, SubscriberAccess
from steering.model.network import NetworkAccessType, PortRef
from steering.model.policy import Pooling
from steering.northbound.auth.pseudonyms import pseudonym
from tests.support.command_desk import Desk
from tests.support.commands import Run, cells, failing
from tests.support.fixed_answers import IMSI
from tests.support.rest_server import state_directory

WHO = pseudonym(b"k" * 32, IMSI)
LINK = "s1:3-s2:3"
Fail = Callable[..., tuple[int, str]]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def state_dir(tmp_path: Path, desk: Desk) -> Iterator[Path]:
    yield from state_directory(tmp_path / "state", desk)


@pytest.fixture
def fail(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Fail:
    return lambda *words: failing(capsys, *words, "--state-dir", str(state_dir))


@pytest.mark.row("D-1.d")
def test_a_links_weight_is_set_and_reset(run: Run, desk: Desk) -> None:
    assert cells(run("link"), "s2:4-s4:3")[1:] == ["2.5", "1", "2.5", "yes"]
    assert run("link") == run("link", "list")
    assert run("link", "set", LINK, "--weight", "7") == (
        f"{LINK} has weight 1, for sessions that begin from now on\n"  # the view stands still
    )
    assert json.loads(run("link", "reset", LINK, "--json"))["name"] == LINK
    ends = (PortRef(1, 3), PortRef(2, 3))
    assert desk.control.given == [LinkWeighed(*ends, 7.0), LinkWeighed(*ends, None)]
    small = desk.view.links()["links"][0] | {"weight": 0.04}
    desk.view.links = lambda: {"links": [small]}  # type: ignore[method-assign]
    assert cells(run("link", "set", LINK, "--weight", "0.04"), LINK)[3] == "0.04,"
    desk.view.links = lambda: {"links": [small], "settled": False, "kept_flows": 0}  # type: ignore[method-assign]
    assert cells(run("link"), LINK)[1] == "0.04"
    desk.view.links = lambda: {"links": [], "settled": False, "kept_flows": 3}  # type: ignore[method-assign]
    assert run("link").splitlines()[1].startswith("3 flows of live sessions")


@pytest.mark.row("D-3.2c")
def test_the_clock_of_rules_is_put_off(run: Run, desk: Desk) -> None:
    out = run("policy", "clock")
    assert out.splitlines()[0] == "it is mon 17:05, in the controller's own time zone"
    assert cells(out, "rush") == ["rush", "yes"]
    assert run("policy", "clock", "--offset", "-3600").startswith("it is mon 17:05, 3600 s behind, in")
    assert desk.control.offset == -3600
    assert json.loads(run("policy", "clock", "--json"))["offset_s"] == -3600
    assert (
        run("policy", "clock", "--offset", "0").splitlines()[0]
        == "it is mon 17:05, in the controller's own time zone"
    )


@pytest.mark.row("D-1.u2")
def test_an_access_network_is_offloaded_and_back(run: Run, desk: Desk) -> None:
    assert (
        run("access", "offload", "lte", "wlan")
        == "what goes by lte goes by wlan wherever a session has both\n"
    )
    assert run("access", "offload", "lte", "--back") == "what goes by lte goes there again\n"
    assert json.loads(run("access", "offload", "wlan", "lte", "--json")) == {
        "from": "wlan",
        "to": "lte",
        "changed": True,
    }
    assert desk.control.given == [Offload("lte", "wlan"), Offload("lte", None), Offload("wlan", "lte")]


@pytest.mark.row("D-6.3e", "N-7.1")
def test_a_subscribers_accesses_are_said_and_what_is_not_said_stays(run: Run, desk: Desk) -> None:
    assert cells(run("subscriber", "-o", "wide"), WHO)[-3:] == ["-", "-", "0"]
    assert run("subscriber", "set", WHO, "--allowed", "wlan,cellular", "--preferred", "wlan") == (
        f"{WHO} may combine cellular, wlan, first wlan, update 1\n"
    )
    assert run("subscriber", "set", WHO, "--preferred", "cellular, wlan") == (
        f"{WHO} may combine cellular, wlan, first cellular, wlan, update 2\n"
    )
    assert cells(run("subscriber", "-o", "wide"), WHO)[-5:] == ["cellular,", "wlan", "cellular,", "wlan", "2"]
    assert (
        json.loads(run("subscriber", "set", WHO, "--allowed", "", "--sequence", "9", "--json"))["sequence"]
        == 9
    )
    assert run("subscriber", "reset", WHO) == f"{WHO} combines accesses as rules say, update 10\n"
    wlan, lte = NetworkAccessType.WLAN, NetworkAccessType.CELLULAR
    assert desk.control.given == [
        SubscriberAccess(IMSI, Pooling(frozenset({wlan, lte}), (wlan,))),
        SubscriberAccess(IMSI, Pooling(frozenset({wlan, lte}), (lte, wlan))),
        SubscriberAccess(IMSI, Pooling(frozenset(), (lte, wlan))),
        SubscriberAccess(IMSI, None),
    ]
    assert IMSI not in run("subscriber", "--json")


def test_somebody_elses_update_of_a_subscriber_makes_ours_stale(run: Run, fail: Fail, desk: Desk) -> None:
    desk.meanwhile = lambda: desk.put(f"subscribers/{WHO}/access", {"allowed": ["fixed"], "sequence": 1})
    status, line = fail("subscriber", "set", WHO, "--allowed", "wlan")
    assert (status, "update 1 of this subscriber is stale" in line) == (1, True)
    assert "fixed" in run("subscriber")


@pytest.mark.row("N-5.3b")
def test_the_acl_is_shown_edited_and_set(run: Run, tmp_path: Path) -> None:
    assert run("acl") == "no entry: the policy's own list decides\n"
    file = tmp_path / "acl.json"
    file.write_text('{"entries": [{"name": "mal\\u001b", "action": "deny", "source": ["10.1.0.9"]}]}')
    assert run("acl", "set", str(file)) == "1 entry in force\n"
    assert cells(run("acl", "show"), "mal?")[1:] == ["deny", "10.1.0.9/32", "-", "-", "-"]
    shown = json.loads(run("acl", "show", "--json"))
    assert shown["entries"][0]["name"] == "mal\x1b"  # as it was, so that it can be set again
    shown["entries"].append({"name": "rest", "action": "allow", "port": ["1-1023"]})
    file.write_text(json.dumps(shown))
    assert run("acl", "set", str(file)) == "2 entries in force\n"


@pytest.mark.row("N-5.3b")
def test_an_acl_replaces_the_one_that_was_edited_and_no_other(
    run: Run, fail: Fail, desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "acl.json"
    file.write_text(run("acl", "show", "--json"))
    desk.put("acl", {"entries": [{"name": "theirs", "action": "deny"}]})
    status, line = fail("acl", "set", str(file))
    assert (status, "somebody else has changed it meanwhile" in line) == (1, True)
    assert "theirs" in run("acl")
    told = json.loads(file.read_text())
    del told["etag"]
    file.write_text(json.dumps(told))
    assert run("acl", "set", str(file)) == "0 entries in force\n"


def test_an_acl_comes_from_standard_input(run: Run, state_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "steering", "acl", "set", "-", "--state-dir", str(state_dir)],
        input='{"entries": [{"name": "piped", "action": "deny"}]}',
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 entry in force\n", "")
    assert "piped" in run("acl")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON: Expecting"),
        ("[" * 100_000, "no JSON"),
        ("[]", 'a JSON object with "entries" is wanted'),
        ("{}", "entries: Field required"),
        ('{"entries": [], "entries": [{"name": "a", "action": "deny"}]}', "an object names 'entries' twice"),
        ('{"entries": [{"name": "a", "action": "deny", "acti\\u006fn": "allow"}]}', "an object names 'action' twice"),
        ('{"entries": [], "etag": 7}', "etag: the one that"),
        ('{"entries": [], "etag": "x\\ny"}', "etag: the one that"),
        ('{"entries": [{"name": "a", "action": "drop"}]}', "entries[0].action: Input should be 'allow' or 'deny'"),
        ('{"entries": [{"name": "a", "action": "deny", "source": ["10.1.0.1/8"]}]}', "entries[0].source[0]: an IP"),
    ],
)  # fmt: skip
def test_what_is_no_acl_is_one_line_with_the_place(text: str, said: str, fail: Fail, tmp_path: Path) -> None:
    file = tmp_path / "acl.json"
    file.write_text(text)
    status, line = fail("acl", "set", str(file))
    assert (status, f"{file}: {said}" in line) == (2, True), line


@pytest.mark.row("N-5.3a", "N-7.1")
def test_subscribers_are_registered_and_removed(
    run: Run, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("registry") == "nobody is registered\n"
    assert (
        run("registry", "add", IMSI, "10.1.0.2", "fd00:1::/64")
        == f"{WHO} is registered and allowed, at 10.1.0.2/32, fd00:1::/64\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(IMSI + "\n"))
    assert run("registry", "add", "-", "--deny") == f"{WHO} is registered and denied\n"
    assert cells(run("registry"), WHO) == [WHO, "no", "-"]
    assert json.loads(run("registry", "remove", WHO, "--json")) == {"id": WHO, "changed": True}
    assert run("registry") == "nobody is registered\n"


@pytest.mark.parametrize("words", [["add", "-"], ["remove", "-"]])
def test_a_subscriber_by_standard_input_that_is_no_text_is_one_line(
    words: list[str], fail: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n"), "utf-8"))
    status, line = fail("registry", *words)
    assert status == 2 and "is no text" in line


@pytest.mark.row("S-14", "N-5.2.1e")
def test_a_device_is_paired_and_its_ports_are_bound(run: Run, desk: Desk) -> None:
    assert run("pairing") == "no device is paired\n" and run("binding") == "no port is bound\n"
    assert (
        run("pairing", "set", "cpe-1", "10.1.0.2", "fd00:1::2") == "cpe-1 is paired, at 10.1.0.2, fd00:1::2\n"
    )
    assert cells(run("pairing"), "cpe-1") == ["cpe-1", "10.1.0.2,", "fd00:1::2"]
    told = run("binding", "add", "8080", "--device", "cpe-1", "--ext-port", "5000", "--lifetime", "90")
    name, line = told.split(": ")
    assert line == "10.8.0.2:5000 of core leads to 10.1.0.2:8080 of cpe-1, for 1m30s\n"
    assert cells(run("binding"), name)[1:-1] == ["cpe-1", "core", "10.8.0.2:5000", "10.1.0.2:8080"]
    assert run("binding", "renew", name, "--lifetime", "600").endswith("for 10m00s\n")
    assert json.loads(run("binding", "renew", name, "--json"))["version"] == 3
    six = ["--device", "cpe-1", "--mcp", "edge", "--address", "fd00:1::2"]
    bound = json.loads(run("binding", "add", "22", *six, "--json"))
    assert (bound["mcp"], bound["address"], bound["lifetime_s"]) == ("edge", "fd00:1::2", 3600)
    assert run("binding", "remove", name) == f"{name} is closed\n"
    assert run("pairing", "remove", "cpe-1") == "cpe-1 is paired no more\n"
    assert run("binding") == "no port is bound\n"


def test_the_network_is_listed_part_by_part(run: Run, desk: Desk) -> None:
    out = run("topology")
    assert [line.split()[0] for line in out.splitlines() if line and line.split()[0] in
            ("switch", "link", "attached", "host", "gateway")] == ["switch", "link", "attached", "host", "gateway"]  # fmt: skip
    assert cells(out, "internet") == ["internet", "10.9.0.0/24", "s4:1", "10.9.0.1", "-"]
    assert cells(run("topology", "hosts"), "10.1.0.2") == ["10.1.0.2", "02:00:00:00:00:02", "s1:1"]
    assert "s9" not in run("topology", "hosts")
    assert json.loads(run("topology", "--json")) == {
        **desk.view.topology(), "gateways": desk.view.gateways(),
    }  # fmt: skip
    desk.view.gateways = list  # type: ignore[method-assign,assignment]
    assert run("topology", "gateways") == "none is known\n"


@pytest.mark.row("N-5.2.1a")
def test_what_a_device_discovers(run: Run, state_dir: Path) -> None:
    out = run("mcp", "discovery")
    assert cells(out, "core") == ["core", "off-path", "10.8.0.2,", "fd00:8::2"]
    assert "edge" not in out and out.endswith("for tests, not paired; to be asked again in 300 s\n")
    run("pairing", "set", "tests", "10.1.0.2")
    assert json.loads(run("mcp", "discovery", "--json"))["paired"] is True


def _weigh(desk: Desk) -> None:
    before = desk.view.links()
    before["links"][0]["weight"] = 9.0
    desk.view.links = lambda: before  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("words", "meanwhile"),
    [
        (["link", "set", LINK, "--weight", "7"], _weigh),
        (["link", "reset", LINK], _weigh),
        (["policy", "clock", "--offset", "60"], lambda desk: desk.control.set_clock_offset(5)),
        (["acl", "set", "FILE"], lambda desk: desk.put("acl", {"entries": []})),
        (["access", "set", "lte", "--type", "wlan"],
         lambda desk: desk.put("access-networks/lte", {"type": "fixed", "trust": "operator", "sequence": 5})),
        (["mcp", "change", "MCP"], lambda desk: desk.declare({"name": "core", "port": "s3:7"})),
        (["binding", "renew", "ID"], lambda desk: desk.put(f"bindings/{desk.bound}", {})),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)  # fmt: skip
def test_nothing_is_changed_over_somebody_elses_change(
    words: list[str], meanwhile: Callable[[Any], object], run: Run, fail: Fail, desk: Any, tmp_path: Path
) -> None:
    run("pairing", "set", "cpe-1", "10.1.0.2")
    desk.bound = json.loads(run("binding", "add", "22", "--device", "cpe-1", "--json"))["id"]
    file, mcp = tmp_path / "acl.json", tmp_path / "core.yaml"
    mcp.write_text("name: core\nport: s3:1\n")
    file.write_text('{"entries": [{"name": "a", "action": "deny"}]}')
    run("acl", "set", str(file))
    words = [{"ID": desk.bound, "FILE": str(file), "MCP": str(mcp)}.get(word, word) for word in words]
    desk.meanwhile = lambda: meanwhile(desk)
    status, line = fail(*words)
    assert (status, line.startswith("steering: somebody else has changed it meanwhile")) == (1, True), line
    run(*words)  # nobody comes between


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["link", "set", LINK], 2, "--weight"),
        (["link", "set", LINK, "--weight", "heavy"], 2, "invalid float"),
        (["link", "set", LINK, "--weight", "0"], 2, "weight: Input should be greater than 0"),
        (["link", "set", LINK, "--weight", "nan"], 2, "weight:"),
        (["link", "set", "s1-s9", "--weight", "2"], 1, "no link 's1-s9'"),
        (["link", "weigh"], 2, "invalid choice: 'weigh'"),
        (["policy", "clock", "--offset", "604800"], 2, "offset_s: Input should be less than"),
        (["policy", "clock", "--offset", "soon"], 2, "invalid int"),
        (["access", "offload", "lte"], 2, "offload wants NAME and TO"),
        (["access", "offload", "lte", "wlan", "--back"], 2, "offload wants NAME and TO"),
        (["access", "offload", "lte", "wlan", "--type", "wlan"], 2, "of set alone"),
        (["access", "offload", "lte", "mars"], 2, "to: no access network 'mars'"),
        (["access", "offload", "lte", "lte"], 2, "to: another access network"),
        (["access", "set", "lte", "wlan", "--type", "wlan"], 2, "of offload alone"),
        (["access", "--back"], 2, "of offload alone"),
        (["subscriber", "set", WHO], 2, "set wants --allowed or --preferred"),
        (["subscriber", "set", "nobody", "--allowed", "wlan"], 1, "no subscriber"),
        (["subscriber", "set", WHO, "--allowed", "tin-can"], 2, "allowed[0]: Input should be"),
        (["subscriber", "set", WHO, "--allowed", "wlan", "--preferred", "fixed"], 2, "preferred: fixed is"),
        (["subscriber", "set", WHO, "--allowed", "wlan", "--sequence", "0"], 2, "sequence: Input should be"),
        (["acl", "set"], 2, "FILE"),
        (["acl", "set", "/nowhere.json"], 2, "cannot be read"),
        (["registry", "add", "i", "10.1.0.300"], 2, "addresses[0]: an IP address or prefix"),
        (["registry", "add", ""], 2, "subscriber: String should have"),
        (["registry", "remove", "0000"], 1, "no subscriber '0000' is registered"),
        (["pairing", "set", "cpe-1"], 2, "ADDRESS"),
        (["pairing", "set", "cpe-1", "10.1.0.0/24"], 2, "addresses[0]: an IP address is wanted"),
        (["pairing", "set", "two words", "10.1.0.2"], 1, "no token can be that of a device"),
        (["pairing", "remove", "cpe-9"], 1, "no device 'cpe-9' is paired"),
        (["binding", "add", "22"], 2, "device: an operator names the device"),
        (["binding", "add", "22", "--device", "cpe-9"], 1, "paired with no address"),
        (["binding", "add", "70000", "--device", "cpe-9"], 2, "int_port: Input should be less than"),
        (["binding", "add", "22", "--device", "d", "--lifetime", "0"], 2, "lifetime_s: Input"),
        (["binding", "renew", "0000"], 1, "no binding '0000'"),
        (["binding", "remove", "0000"], 1, "no binding '0000'"),
        (["topology", "clouds"], 2, "invalid choice: 'clouds'"),
        (["mcp", "discovery", "core"], 2, "discovery takes no NAME"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    words: list[str], status: int, said: str, fail: Fail, desk: Desk
) -> None:
    ended, line = fail(*words)
    assert (ended, said in line) == (status, True), line
    assert desk.control.given == []


def test_options_stand_before_the_word_or_after_it(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["link", "--json", "--state-dir", str(state_dir), "list"]) == 0
    assert len(json.loads(capsys.readouterr().out)["links"]) == 2
    assert main(["link", "--state-dir", "/nowhere", "list", "--state-dir", str(state_dir)]) == 0


@pytest.mark.parametrize("command", ["link", "subscriber", "acl", "registry", "pairing", "binding"])
def test_help_names_every_word_and_each_word_has_its_own(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def helped(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0
        return capsys.readouterr().out

    out = helped(command)
    words = re.findall(r"^    (\w+) +\S", out, re.M)
    assert len(words) >= 2 and f"what to do (default: {words[0]})" in out
    for word in words:
        assert "--json" in helped(command, word) and "--token-file" in helped(command, word)


@pytest.mark.row("N-7.1", "D-6.3e")
def test_subscribers_are_taken_by_their_own_ids_and_shown_by_pseudonyms(run: Run, desk: Desk) -> None:
    for name in (IMSI, WHO):
        out = run("subscriber", "set", name, "--allowed", "wlan")
        assert out.startswith(f"{WHO} may combine wlan") and IMSI not in out
    run("registry", "add", IMSI)
    assert run("registry", "remove", IMSI) == f"{WHO} is registered no more\n"


@pytest.mark.row("N-7.1")
def test_an_own_id_is_in_no_target_that_is_logged(
    run: Run, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    run("subscriber", "set", IMSI, "--allowed", "wlan")
    run("registry", "add", IMSI)
    run("registry", "remove", IMSI)
    assert WHO in caplog.text and IMSI not in caplog.text


def test_a_subscriber_that_there_is_not_is_said(fail: Fail) -> None:
    status, line = fail("subscriber", "set", "nobody", "--allowed", "wlan")
    assert status == 1 and "no subscriber 'nobody'" in line
