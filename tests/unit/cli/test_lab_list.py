"""`steering lab list` is read at 80 columns, and says all that a lab is."""

import pytest

from steering.cli.main import main
from topologies import catalogue


def test_the_list_of_labs_is_read_at_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["lab", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    names = [line.split()[0] for line in lines if not line.startswith(" ")]
    assert names == list(catalogue.MODULES)
    told = " ".join(" ".join(lines).split())
    scenario = catalogue.load("off-path")
    assert f"off-path {scenario.summary} [{scenario.figure}]" in told


@pytest.mark.parametrize("columns", ["1", "12", "25"])
def test_a_terminal_that_is_too_narrow_for_the_list_gets_it_all_the_same(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["lab", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(catalogue.MODULES)
