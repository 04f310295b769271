"""What holds for every test: markers, the order, the time limits, hypothesis profiles, who needs root, logging."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.lab.pool import POOL, Pool, Wanted

if TYPE_CHECKING:
    from tests.support.etcd import EtcdMembers

TESTS = Path(__file__).resolve().parent

# folder -> (place in the run, time limit of one test in seconds); cheap and telling folders come first. Those beside which no
# lab runs follow each other, since the first of them waits until no lab runs. Labs come last: what else is there has one beside it.
# The limits are for what hangs: some ten times what the slowest test of the folder takes on a machine that does much else beside it.
FOLDERS = {
    "architecture": (0, 600),
    "unit": (1, 300),
    "property": (2, 600),
    "golden": (3, 300),
    "process": (4, 600),
    "browser": (5, 900),
    "integration": (6, 600),
    "bench": (7, 900),
    "lab": (9, 900),
}
REST = (8, 900)  # mutants, attack, packaging: they start a pytest or a build of their own
# Labs beside the tests of a folder, otherwise one: none where times are measured, all there may be in their own.
LABS_BESIDE = {"integration": 0, "bench": 0, "lab": None}
NEEDS_ROOT = frozenset({"integration", "lab"})
NIGHTLY_LIMIT = 7200
OWN_PROCESS = "STEERING_TEST_OWN_PROCESS"
OUR_LOGGERS = frozenset({"steering", "topologies"})

# A busy machine makes examples slowly, which is nobody's fault. The same tree meets the same examples each time: what the
# search for new ones finds, at night, is not laid at the door of whoever changed something else.
NO_CLOCK = [HealthCheck.too_slow]
settings.register_profile(
    "default", max_examples=150, deadline=None, derandomize=True, suppress_health_check=NO_CLOCK
)
settings.register_profile(
    "nightly", max_examples=20_000, deadline=None, derandomize=False, suppress_health_check=NO_CLOCK
)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")
settings.load_profile(PROFILE)


def folder_of(item: pytest.Item) -> str:
    """The folder of tests/ that a test lives in, empty for one that is in none."""
    try:
        return item.path.relative_to(TESTS).parts[0]
    except ValueError:
        return ""


def pytest_addoption(parser: pytest.Parser) -> None:
    # Two on two cores: labs mostly wait, but the controller of each has to keep its times.
    parser.addoption("--lab-jobs", type=int, default=2, metavar="N", help="labs at a time (2)")
    parser.addoption(
        "--lab-day",
        type=int,
        metavar="N",
        help="the day whose share of the labs' negative controls runs, 0 to 6 (today's)",
    )


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell has what it starts in the background ignore Ctrl-C, and so would every lab that a test interrupts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "own_process: what the test takes away from its process, others need")
    config.addinivalue_line("markers", "row(*ids): the requirement rows (D-, N-, S-) that the test carries")
    config.addinivalue_line(
        "markers",
        "lab(name, *options, alone=False): the `steering lab run` that the test judges; alone: nothing beside it",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (FOLDERS.get(folder_of(item), REST)[0], _is_alone(item)))
    for item in items:
        if item.get_closest_marker("timeout") is None:
            limit = FOLDERS.get(folder_of(item), REST)[1]
            nightly = PROFILE == "nightly" and folder_of(item) not in NEEDS_ROOT
            item.add_marker(pytest.mark.timeout(NIGHTLY_LIMIT if nightly else limit))


def _is_alone(item: pytest.Item) -> bool:
    """Labs that nothing may run beside come last, when the other tests that use the machine are over."""
    marker = item.get_closest_marker("lab")
    return marker is not None and bool(marker.kwargs.get("alone"))


@pytest.fixture(autouse=True)
def _logging_stays_as_it_was() -> Iterator[None]:
    """What a test (or what it imports) does to loggers ends with it."""
    kind, disabled = logging.getLoggerClass(), logging.root.manager.disable
    before = {log: (log.level, log.propagate, log.disabled, list(log.handlers)) for log in _loggers()}
    yield
    logging.setLoggerClass(kind)
    logging.disable(disabled)
    for log in _loggers():
        level, log.propagate, log.disabled, log.handlers = before.get(log, (logging.NOTSET, True, False, []))
        log.setLevel(level)


def _loggers() -> list[logging.Logger]:
    """The root and ours; a name that only stands between others is no logger."""
    known = logging.root.manager.loggerDict.items()
    ours = [log for name, log in known if name.partition(".")[0] in OUR_LOGGERS]
    return [logging.root, *(log for log in ours if isinstance(log, logging.Logger))]


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator["EtcdMembers"]:
    """An etcd of one member, the same for all tests of a module. Only those tests load what asks it."""
    from tests.support.etcd import EtcdMembers

    with EtcdMembers(tmp_path_factory.mktemp("etcd")) as members:
        yield members


def pytest_collection_finish(session: pytest.Session) -> None:
    """The labs that are wanted begin at once: most tests leave a core free."""
    wanted = [one for item in session.items if (one := Wanted.by(item))]
    if wanted and os.geteuid() == 0 and not session.config.option.collectonly:
        directory = tempfile.TemporaryDirectory(prefix="steering-labs-")
        session.config.add_cleanup(directory.cleanup)
        pool = Pool(Path(directory.name), session.config.option.lab_jobs)
        session.config.add_cleanup(pool.end)  # the last added is the first done
        pool.start(wanted)
        session.config.stash[POOL] = pool


@pytest.hookimpl(
    wrapper=True, tryfirst=True
)  # around the time limit too: a lab that is to end first may take its time
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if POOL in item.config.stash:
        beside = LABS_BESIDE.get(folder_of(item), 1)
        item.config.stash[POOL].allow(item.config.option.lab_jobs if beside is None else beside)
    return (yield)


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A test marked `own_process` runs in a pytest of its own: the labs beside it live in this process's threads."""
    if pyfuncitem.get_closest_marker("own_process") is None or OWN_PROCESS in os.environ:
        return None
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    environment = os.environ | {OWN_PROCESS: "1"}
    done = subprocess.run(
        command, cwd=pyfuncitem.config.rootpath, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode or "1 passed" not in done.stdout:
        pytest.fail(f"{done.stdout}{done.stderr}", pytrace=False)
    return True


def pytest_runtest_setup(item: pytest.Item) -> None:
    if folder_of(item) in NEEDS_ROOT and os.geteuid() != 0:
        pytest.fail(
            "needs root (network namespaces, Open vSwitch): run as root, for example sudo make test",
            pytrace=False,
        )
