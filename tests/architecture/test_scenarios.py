"""The rooms of `topologies/`: every scenario is listed and offered to Mininet, and none knows another."""

import subprocess
from pathlib import Path

import pytest

from tests.architecture import layers
from topologies import catalogue
from topologies.kit.scenario import Scenario

ROOT = layers.ROOT
LABS = ROOT / "topologies"
MN_PYTHON = "/usr/bin/python3"  # mn's own, which has nothing of the virtual environment
AS_MN_DOES = """
import sys
names = {}
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), names, names)
print(*names["topos"])
"""

# Which rooms of `topologies` a room may import, beside itself.
ROOMS = {
    "kit": set(),
    "networks": {"kit"},
    "programs": {"kit"},
    "measures": {"kit", "networks", "programs"},
    "scenarios": {"kit", "networks", "programs", "measures"},
    "campaign": {"kit", "catalogue"},
    "catalogue": {"kit"},
    "custom": {"kit", "catalogue"},
}


def test_every_scenario_file_is_in_the_catalogue() -> None:
    files = {path.stem for path in (LABS / "scenarios").glob("*.py")} - {"__init__"}
    assert files == set(catalogue.MODULES.values())
    assert len(catalogue.MODULES) == len(files)


@pytest.mark.parametrize("name", catalogue.MODULES)
def test_a_scenario_has_the_name_that_the_catalogue_lists(name: str) -> None:
    found = catalogue.load(name)
    assert isinstance(found, Scenario) and found.name == name


def test_the_entry_for_mininet_offers_every_network_of_every_scenario() -> None:
    done = subprocess.run(
        [MN_PYTHON, "-c", AS_MN_DOES, "topologies/custom.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    wanted = [name for scenario in catalogue.all_of_them() for name in scenario.networks()]
    assert len(wanted) == len(set(wanted)) and set(catalogue.MODULES) < set(wanted)
    assert done.stdout.split() == wanted


def room_of(module: str) -> str:
    """`topologies.kit.lab` -> `kit`; nothing for what is no part of the labs, and for the package itself."""
    top, _, rest = module.partition(".")
    return rest.split(".")[0] if top == "topologies" else ""


def refusals(path: Path, found: layers.Import) -> list[str]:
    """Why a file of the labs may not import that; empty if it may."""
    own, there = room_of(layers.module_name(path)), room_of(found.module)
    if not own or not there:
        return []
    if own == there == "scenarios":
        return ["a scenario may not import another"]
    return [] if there == own or there in ROOMS[own] else [f"{own} may not import {there}"]


def test_rooms_of_the_labs_import_only_what_they_may() -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{found.line}: {found.module}: {why}"
        for path in sorted(LABS.rglob("*.py"))
        for found in layers.imports_of(path)
        for why in refusals(path, found)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("scenarios/x.py", "topologies.scenarios.off_path"),
        ("networks/x.py", "topologies.measures.pins"),
        ("kit/x.py", "topologies.catalogue"),
        ("measures/x.py", "topologies.scenarios.off_path"),
    ],
)
def test_the_check_of_rooms_sees(file: str, module: str) -> None:
    assert refusals(LABS / file, layers.Import(module, 1))


def test_only_the_entry_for_mininet_changes_the_import_path() -> None:
    changing = [
        path.relative_to(LABS).as_posix() for path in LABS.rglob("*.py") if "sys.path" in path.read_text()
    ]
    assert changing == ["custom.py"]


# Controls of which no run has been recorded yet; `topologies.campaign.recording` writes what they break.
UNNAMED: frozenset[str] = frozenset()


def test_every_control_names_the_checks_that_it_breaks() -> None:
    scenarios = list(catalogue.all_of_them())
    controls = {f"{s.name} without {control}" for s in scenarios for control in s.controls}
    named = {f"{s.name} without {name}": found for s in scenarios for name, found in s.breaks.items()}
    assert controls - set(named) == UNNAMED
    assert set(named) <= controls
    assert all(found.must and not found.must & found.may for found in named.values())
