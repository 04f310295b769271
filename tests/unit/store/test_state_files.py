"""Whatever stands in a state file's place: it is read as it was written, or refused by name; nothing hangs or crashes."""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steering.model.identity import Role
from steering.model.kept import KeptLease, KeptNetwork, KeptSession, KeptUsage
from steering.model.mapping import Mapping
from steering.model.network import NetworkAccessType, PortRef, Trust
from steering.model.session import FlowKey
from steering.store import credentials, tokens
from steering.store.interface import StateError, StateRefusal
from steering.store.kept import (
    DamagedFile,
    network_text,
    read_network,
    read_reservations,
    read_usage,
    usage_text,
)
from steering.store.lease_log import LeaseLog
from steering.store.link_weights import LinkWeights
from steering.store.lists import AccessLists
from steering.store.mappings import MappingStore
from steering.store.orders import AccessOrder, KeptOrders, SubscriberOrder
from steering.store.policy_history import History, HistoryError
from steering.store.port_bindings import PortBinding, PortBindings
from steering.store.private_file import append_private
from steering.store.session_log import SessionLog
from steering.store.state_directory import LEFT_OVER_S, StateDirectory, StateLock
from tests.support.full_disk import full_disk

KEY = FlowKey(bytes(range(12)))
MAPPING = Mapping("core", "10.1.0.2", "192.0.2.1", 1024, 1535, 1.0, None, "", "")
PREPARED = "policies/1.json"

Read = Callable[[Path], object]


def _kept(name: str, read: Callable[[str], object]) -> Read:
    def reader(path: Path) -> object:
        text = StateDirectory(path).read(name)
        return None if text is None else read(text)

    return reader


READERS: dict[str, Read] = {
    "acl.json": lambda path: AccessLists(StateDirectory(path)).entries(),
    "registry.json": lambda path: AccessLists(StateDirectory(path)).registered(),
    "pairings.json": lambda path: AccessLists(StateDirectory(path)).paired(),
    "orders.json": lambda path: KeptOrders(StateDirectory(path)).orders,
    "links.json": lambda path: LinkWeights(StateDirectory(path)).weights,
    "bindings.json": lambda path: PortBindings(StateDirectory(path)).known,
    "tokens.json": tokens.listed,
    "token": credentials.bearer_token,
    "lldp.key": credentials.lldp_key,
    PREPARED: lambda path: History(StateDirectory(path)).read(1),
    "network.json": _kept("network.json", read_network),
    "usage.json": _kept("usage.json", read_usage),
    "reservations.json": _kept("reservations.json", lambda text: read_reservations(text, 0.0)),
    "sessions.jsonl": lambda path: SessionLog(path).load(),
    "leases.jsonl": lambda path: LeaseLog(path, lambda: 5.0).load(),
    "mappings-core.jsonl": lambda path: MappingStore(path, lambda: 5.0).find("192.0.2.1", 1100, None),
}
REFUSALS = (
    StateError,
    HistoryError,
    DamagedFile,
)  # each has one line to say, and a counter or an exit where it is caught


def fill(path: Path) -> Path:
    """A state directory with a good value in every file."""
    store = StateDirectory(path)
    lists = AccessLists(store)
    entry = {"name": "a", "action": "deny", "source": ["10.1.0.0/24"], "access": ["lte"]}
    lists.replace_acl([entry | {"destination": ["10.9.0.0/24"], "port": ["5000-6000"]}])
    lists.register("0" * 16, True, ["10.1.0.2/32"])
    lists.pair("cpe-1", ["10.1.0.2", "fd00::2"])
    orders = KeptOrders(store)
    orders.drain("core", True)
    orders.access("lte", AccessOrder(NetworkAccessType.WLAN, Trust.OPERATOR, 7))
    orders.offload("lte", "wlan")
    orders.subscriber("0" * 16, SubscriberOrder((NetworkAccessType.WLAN,), (NetworkAccessType.WLAN,), 3))
    orders.save()
    LinkWeights(store).put("s1:2-s3:2", 4.0)
    PortBindings(store).put(PortBinding("9f", "cpe-1", "core", 50_000, "10.1.0.2", 22, 600, 1e9, 1))
    tokens.add(path, Role.READER, "ann", "", "2026-11-21T00:00:00+00:00")
    for made in (credentials.bearer_token, credentials.lldp_key):
        made(path)
    History(store).apply("policy: 1\n", "ann", 1.0)
    hop = (PortRef(1, 2), PortRef(3, 2))
    store.write("network.json", network_text(KeptNetwork((hop,), ())))
    store.write("usage.json", usage_text(KeptUsage((), ((KEY, 7),))))
    store.write("reservations.json", json.dumps({"format": 1, "reservations": []}))
    SessionLog(path).write([(1, KeptSession("host", "core", 7, 1, KEY, ((KEY, 1, 9),)))], [])
    lease = KeptLease(PortRef(1, 1), KEY[:6], KEY[4:8], 60.0)
    LeaseLog(path, lambda: 5.0).write([(lease.address, lease)], [])
    MappingStore(path, lambda: 5.0).append([MAPPING])
    return path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of a good state directory."""
    path = fill(tmp_path_factory.mktemp("good"))
    return {name: (path / name).read_bytes() for name in READERS}


def put(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)


def refused(name: str, folder: Path) -> StateRefusal | None:
    """The refusal's name where it has one; fails where nothing is refused."""
    with pytest.raises(REFUSALS) as caught:
        READERS[name](folder)
    assert "\n" not in str(caught.value)
    return caught.value.refusal if isinstance(caught.value, StateError) else None


@pytest.mark.parametrize("name", READERS)
def test_what_was_written_is_read(tmp_path: Path, name: str) -> None:
    assert READERS[name](fill(tmp_path))


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_damage_at_any_byte_is_read_or_refused_by_name(
    tmp_path: Path, good: dict[str, bytes], name: str, data: st.DataObject
) -> None:
    whole = good[name]
    at = data.draw(st.integers(0, len(whole)), label="at")
    gone = data.draw(st.integers(0, len(whole)), label="gone")
    new = data.draw(st.binary(max_size=8) | st.sampled_from([b"[" * 40, b'{"a":' * 2_000, b"1e999", b"null"]))
    put(tmp_path, name, whole[:at] + new + whole[at + gone :])
    try:
        READERS[name](tmp_path)
    except REFUSALS as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("depth", [40, 100_000])
def test_nesting_too_deep_is_refused_by_name(tmp_path: Path, name: str, depth: int) -> None:
    put(tmp_path, name, b"[" * depth + b"]" * depth + b"\n")
    if name in ("sessions.jsonl", "leases.jsonl"):
        assert READERS[name](tmp_path) == (
            (),
            -(-(2 * depth + 1) // (1 << 17)),
        )  # a line that nobody understands
    elif name == "mappings-core.jsonl":
        assert READERS[name](tmp_path) is None
    else:
        refused(name, tmp_path)


LISTS = [
    "acl.json",
    "registry.json",
    "pairings.json",
    "orders.json",
    "links.json",
    "bindings.json",
    "tokens.json",
]


@pytest.mark.parametrize("name", LISTS)
def test_nested_lists_are_said_to_be_nested(tmp_path: Path, name: str) -> None:
    for depth in (40, 100_000):
        put(tmp_path, name, b"[" * depth + b"]" * depth)
        assert refused(name, tmp_path) is StateRefusal.TOO_DEEP


def _fifo(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _folder(path: Path) -> None:
    path.mkdir(0o700)


def _link(path: Path) -> None:
    other = path.with_name("elsewhere")
    other.write_text("[]")
    other.chmod(0o600)
    path.symlink_to(other)


def _open(path: Path) -> None:
    path.write_text("[]")
    path.chmod(0o644)


def _large(path: Path) -> None:
    with path.open("wb") as file:
        path.chmod(0o600)
        file.truncate(1 << 30)  # takes no place on the disk


PLACES = {
    "fifo": (_fifo, StateRefusal.NOT_A_FILE),
    "directory": (_folder, StateRefusal.NOT_A_FILE),
    "link": (_link, StateRefusal.LINK),
    "open to others": (_open, StateRefusal.OPEN_TO_OTHERS),
    "large": (_large, StateRefusal.TOO_LARGE),
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("what", PLACES)
def test_what_is_no_file_of_ours_is_refused_by_name(tmp_path: Path, name: str, what: str) -> None:
    make, why = PLACES[what]
    (tmp_path / name).parent.mkdir(mode=0o700, exist_ok=True)
    make(tmp_path / name)
    if what == "large" and name.endswith(".jsonl"):
        return  # its lines are bounded one by one, and the whole by the reader's own bound
    assert refused(name, tmp_path) in (why, None)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", LISTS)
def test_another_users_file_is_refused_by_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    status = os.fstat

    def foreign(descriptor: int) -> Any:
        found = list(status(descriptor))
        found[4] = os.geteuid() + 77  # st_uid
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", foreign)
    assert refused(name, tmp_path) is StateRefusal.OTHER_OWNER


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", [_fifo, _folder, _link], ids=["fifo", "directory", "link"])
def test_logs_are_not_written_into_what_is_no_file_of_ours(tmp_path: Path, make: Any) -> None:
    kept = KeptSession("host", "core", 7, 1, KEY, ((KEY, 1, 9),))
    for name in ("sessions.jsonl", "leases.jsonl", "mappings-core.jsonl"):
        make(tmp_path / name)
    with pytest.raises(StateError):
        MappingStore(tmp_path, lambda: 5.0).append([MAPPING])
    log = SessionLog(tmp_path)
    if make is _folder:
        with pytest.raises(StateError):
            log.write([(1, kept)], [])
        return
    log.write([(1, kept)], [])  # the whole is written anew, in place of what was there
    assert SessionLog(tmp_path).load() == ((kept,), 0)
    assert make is _fifo or (tmp_path / "elsewhere").read_text() == "[]"


# ---- a full disk ----------------------------------------------------------------------------------


def names(path: Path) -> set[str]:
    return {found.relative_to(path).as_posix() for found in path.rglob("*")}


@pytest.mark.parametrize("left", [0, 2])
def test_on_a_full_disk_a_value_stays_as_it_was_and_nothing_half_written_is_left(
    tmp_path: Path, left: int
) -> None:
    fill(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in READERS}
    listed = names(tmp_path)
    store = StateDirectory(tmp_path)
    changes: list[Callable[[], object]] = [
        lambda: AccessLists(store).replace_acl([]),
        lambda: AccessLists(store).register("1" * 16, True, []),
        lambda: AccessLists(store).unpair("cpe-1"),
        lambda: KeptOrders(store).drain("edge", True),
        lambda: LinkWeights(store).put("s1:2-s3:2", 9.0),
        lambda: PortBindings(store).drop(["9f"]),
        lambda: tokens.add(tmp_path, Role.READER, "bob", "", ""),
        lambda: store.create("policies/2.json", "x" * 9),
        lambda: MappingStore(tmp_path, lambda: 5.0).append([MAPPING]),
        lambda: SessionLog(tmp_path).write([(1, KeptSession("h", "core", 7, 1, KEY, ()))], []),
        store.check,
    ]
    for change in changes:
        with full_disk(left), pytest.raises(StateError) as caught:
            change()
        assert caught.value.refusal is StateRefusal.NO_SPACE
    assert {name: (tmp_path / name).read_bytes() for name in READERS} == before
    assert names(tmp_path) == listed


def test_half_a_line_that_still_fitted_is_taken_back(tmp_path: Path) -> None:
    fill(tmp_path)
    for name in ("mappings-core.jsonl", "sessions.jsonl", "leases.jsonl"):
        whole = (tmp_path / name).read_bytes()
        with full_disk(len(whole) + 20), pytest.raises(StateError) as caught:
            append_private(tmp_path / name, b"x" * 100 + b"\n")
        assert caught.value.refusal is StateRefusal.NO_SPACE
        assert (tmp_path / name).read_bytes() == whole


def test_what_could_not_be_kept_holds_nowhere(tmp_path: Path) -> None:
    fill(tmp_path)
    lists, weights = AccessLists(StateDirectory(tmp_path)), LinkWeights(StateDirectory(tmp_path))
    before = (lists.acl, lists.registry, lists.pairings, weights.weights)
    for change in (
        lambda: lists.replace_acl([]),
        lambda: lists.strike("0" * 16),
        lambda: lists.pair("cpe-2", ["10.1.0.9"]),
        lambda: weights.put("s1:2-s3:2", None),
    ):
        with full_disk(), pytest.raises(StateError):
            change()
    assert (lists.acl, lists.registry, lists.pairings, weights.weights) == before


def test_sessions_that_could_not_be_written_are_written_later(tmp_path: Path) -> None:
    first = KeptSession("host", "core", 7, 1, KEY, ((KEY, 1, 9),))
    second = first._replace(token=8)
    log = SessionLog(tmp_path)
    log.write([(1, first)], [])
    with full_disk(), pytest.raises(StateError):
        log.write([(2, second)], [])
    assert log.owes and SessionLog(tmp_path).load() == ((first,), 0)
    log.write([], [])
    assert not log.owes and SessionLog(tmp_path).load() == ((first, second), 0)


# ---- one controller, and what a dead one leaves -----------------------------------------------------


def test_one_controller_has_a_state_directory(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    with pytest.raises(StateError, match="another controller") as caught:
        StateLock(tmp_path)
    assert caught.value.refusal is StateRefusal.LOCKED
    lock.release()
    StateLock(tmp_path).release()


def test_half_written_files_of_dead_processes_are_removed_and_no_others(tmp_path: Path) -> None:
    fill(tmp_path)
    listed = names(tmp_path)
    old = time.time() - 2 * LEFT_OVER_S
    for name in (".0123456789abcdef", "policies/.fedcba9876543210"):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (old, old))
    fresh = tmp_path / ".00000000deadbeef"
    fresh.write_text("")
    assert StateDirectory(tmp_path).sweep() == 2
    assert names(tmp_path) == listed | {fresh.name}


def test_errors_of_the_system_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, why in (
        (errno.ENOSPC, StateRefusal.NO_SPACE),
        (errno.EDQUOT, StateRefusal.NO_SPACE),
        (errno.EIO, StateRefusal.INPUT_OUTPUT),
        (errno.EROFS, StateRefusal.INPUT_OUTPUT),
        (errno.EMFILE, StateRefusal.INPUT_OUTPUT),
    ):

        def broken(*_: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr(os, "replace", broken)
            with pytest.raises(StateError) as caught:
                StateDirectory(tmp_path).write("a", "x")
        assert caught.value.refusal is why and os.strerror(number) in str(caught.value)
        assert os.listdir(tmp_path) == []
