"""`steering lab run` where the lab itself breaks: its report is written, and says so."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from steering.cli.main import main
from topologies import catalogue
from topologies.campaign.verdicts import of_control, of_lab
from topologies.kit import environment, lab, records
from topologies.kit.report import Report
from topologies.kit.scenario import Breaks, Options


def test_a_fault_of_the_labs_own_is_told_beside_what_it_had_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_options: Options, report: Report) -> None:
        report.equal("one that was looked at", 1, 2)
        raise KeyError("local")

    broken = replace(catalogue.load("off-path"), run=run)
    monkeypatch.setattr(catalogue, "load", lambda _name: broken)
    monkeypatch.setattr(environment, "require", lambda: None)
    monkeypatch.setattr(lab, "environment", lambda: {"datapath": "none", "links": "none"})
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["lab", "run", "off-path", "--json", str(tmp_path / "report.json")]) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    document = json.loads((tmp_path / "report.json").read_text())
    failed = {check["name"]: check["found"] for check in document["checks"] if not check["held"]}
    assert set(failed) == {"one that was looked at", "the lab itself works"}
    assert failed["the lab itself works"] == "KeyError('local')"
    assert of_lab(document).word == of_control(document, None).word == "broken"
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fails", "words", "stay"),
    [
        ([], [], False),
        (["seen"], [], True),
        (["seen"], ["--without", "steering"], False),  # caught
        ([], ["--without", "steering"], True),  # missed: what should have failed held
        (["seen", "another"], ["--without", "steering"], True),  # astray
    ],
)
def test_logs_stay_where_a_run_was_not_what_it_should_be(
    fails: list[str], words: list[str], stay: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(options: Options, report: Report) -> None:
        assert options.keep is records.Keep.LOGS
        assert not logs.exists()  # those of the lab before
        (logs / "off-path-1").mkdir(parents=True)
        for name in ("seen", "another"):
            report.expect(name, name not in fails, "", "")

    logs = tmp_path / "last-logs"
    (logs / "older-1").mkdir(parents=True)
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(records, "LAST_LOGS", logs)
    made = replace(catalogue.load("off-path"), run=run, breaks={"steering": Breaks(frozenset({"seen"}))})
    monkeypatch.setattr(catalogue, "load", lambda _name: made)
    monkeypatch.setattr(environment, "require", lambda: None)
    monkeypatch.setattr(lab, "environment", lambda: {"datapath": "none", "links": "none"})
    before = signal.getsignal(signal.SIGTERM)
    try:
        main(["lab", "run", "off-path", *words])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert logs.exists() is stay


def test_each_network_of_a_lab_keeps_its_own_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(records, "LAST_LOGS", tmp_path / "last-logs")
    for word in ("first", "second", "third"):
        record = records.open_record("nanocell")  # one after the other, with one name and one process
        (record.directory / "controller.log").write_text(word)
        lab._saved_logs(record)
        records.remove(record)
    kept = sorted((tmp_path / "last-logs").glob("*/controller.log"))
    assert sorted(path.read_text() for path in kept) == ["first", "second", "third"]
