"""What holds for every test: the row marker, the order, the time limits, hypothesis profiles, who needs root."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).resolve().parent

# folder -> (place in the run, time limit of one test in seconds); cheap and telling folders come first.
FOLDERS = {
    "architecture": (0, 120),
    "unit": (1, 60),
    "property": (2, 120),
    "golden": (3, 60),
    "process": (4, 180),
    "integration": (5, 180),
    "bench": (6, 300),
    "lab": (7, 600),
}
NEEDS_ROOT = frozenset({"integration", "lab"})
NIGHTLY_LIMIT = 7200

settings.register_profile("default", max_examples=150, deadline=None)
settings.register_profile("nightly", max_examples=20_000, deadline=None)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)


def folder_of(item: pytest.Item) -> str:
    """The folder of tests/ that a test lives in, empty for one that is in none."""
    try:
        return item.path.relative_to(TESTS).parts[0]
    except ValueError:
        return ""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(*ids): the requirement rows (D-, N-, S-) that the test carries")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    last = (len(FOLDERS), 60)
    items.sort(key=lambda item: FOLDERS.get(folder_of(item), last)[0])
    for item in items:
        if item.get_closest_marker("timeout") is None:
            limit = FOLDERS.get(folder_of(item), last)[1]
            nightly = PROFILE == "nightly" and folder_of(item) not in NEEDS_ROOT
            item.add_marker(pytest.mark.timeout(NIGHTLY_LIMIT if nightly else limit))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if folder_of(item) in NEEDS_ROOT and os.geteuid() != 0:
        pytest.fail(
            "needs root (network namespaces, Open vSwitch): run as root, for example sudo make test",
            pytrace=False,
        )
