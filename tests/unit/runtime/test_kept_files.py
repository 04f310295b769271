"""What one controller writes for the next: it comes back as it was, and what is damaged costs only itself."""

import json
import os
import stat
from ipaddress import ip_network
from math import inf
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_ken.lib import hub

from steering.core.engine import Engine
from steering.core.inputs import Restored, Tick
from steering.core.network import dhcp_leases
from steering.core.packet_inputs import DhcpSeen
from steering.model.kept import (
    KeptLease,
    KeptMcp,
    KeptNetwork,
    KeptReservation,
    KeptSession,
    KeptState,
    KeptUnit,
    KeptUsage,
    KeptUse,
    LostPiece,
)
from steering.model.network import PortRef
from steering.model.policy import Policy
from steering.model.reservation import Level
from steering.model.session import NO_FLOW, FlowKey
from steering.model.standing_work import StandingWork
from steering.runtime.state_keeper import FILES, Keeper
from steering.store import change_log, lease_log
from steering.store import session_log as sessionlog
from steering.store.interface import StateError
from steering.store.kept import (
    MOST_NAME,
    DamagedFile,
    network_text,
    read_network,
    read_reservations,
    read_session,
    read_usage,
    reservations_text,
    session_line,
    usage_text,
)
from steering.store.lease_log import LeaseLog, lease_line, read_lease
from steering.store.session_log import SessionLog
from steering.wire.dhcp import DhcpType, read_dhcp
from tests.support.dhcp_frames import HERE, TRUSTED, dhcp_frame, dhcp_site
from tests.support.sites import off_path_site, packed

KEY4, KEY6 = FlowKey(bytes(range(12))), FlowKey(bytes(range(36)))
HOP = (PortRef(1, 2), PortRef(3, 2))
RESERVATION = KeptReservation(
    "9f", Level.SESSION, "anna", "core", True, 40.0, 3, 5_000_000, 2, 6_000_000, 2, "", 60.0, 77, KEY4, NO_FLOW,
    ((KEY4, 1), (KEY6, 2**63)), 1, 0, ((HOP,), ()),
)  # fmt: skip
USAGE = KeptUsage(
    (KeptUse("änna x", "cellular", 5), *(KeptUse(bytes(n), "wlan", 6) for n in (4, 8, 16))), ((KEY6, 7),)
)
NETWORK = KeptNetwork(
    (HOP, HOP[::-1]),
    (KeptUnit("", (ip_network("10.0.0.0/8"), ip_network("fd00::/8")), "core", True),),
    (KeptMcp("core", True, 0.2, False), KeptMcp("edge", False, 0.0, True)),
)
SESSION = KeptSession("host", "core", 0xFFFFFFFF, 1, KEY4, ((KEY4, 1, 0xFFFFFFFF), (KEY6, 2, -1)))
LEASE = KeptLease(PortRef(2**63, 7), bytes(range(6)), bytes((10, 1, 0, 9)), 600.0)
PLAIN = SESSION._replace(token=-1)


def test_everything_comes_back_as_it_was() -> None:
    (one,), wrong = read_reservations(reservations_text([RESERVATION], 1_000.0), 1_030.0)
    assert (one, wrong) == (RESERVATION._replace(remaining=10.0), 0)
    assert read_usage(usage_text(USAGE)) == (USAGE, 0)
    assert read_network(network_text(NETWORK)) == (NETWORK, 0)
    for kept in (SESSION, PLAIN, None):
        assert read_session(session_line(4, kept)) == (4, kept)
    for lease in (LEASE._replace(remaining=inf), None):
        assert read_lease(lease_line(4, lease, 1_000.0), 2_000.0) == (4, lease)
    number, lease = read_lease(lease_line(4, LEASE, 1_000.0), 1_590.0)
    assert (number, lease) == (4, LEASE._replace(remaining=10.0)), "an end is a time of day"


@pytest.mark.parametrize("at", range(6))
@pytest.mark.parametrize(
    "value", [None, -1, 1.5, "x", "00", "00" * 4, "00" * 6, [1], {}, True, 2**70, float("nan"), 1e300]
)
def test_a_lease_with_a_value_that_cannot_be_is_refused(at: int, value: object) -> None:
    if (at, value) in ((5, None), (5, 1.5)):
        value = "no"
    told = json.loads(lease_line(4, LEASE, 0.0))
    told[at] = value
    with pytest.raises(ValueError):
        read_lease(json.dumps(told), 0.0)


@pytest.mark.parametrize("isn", [-2, 2**32, 2**70, 1.5, None])
def test_a_session_with_a_sequence_number_that_cannot_be_is_refused(isn: object) -> None:
    told = json.loads(session_line(4, SESSION))
    told[6][0][2] = isn
    with pytest.raises(ValueError):
        read_session(json.dumps(told))


@pytest.mark.parametrize("field", sorted(RESERVATION._asdict().keys() - {"remaining"} | {"until"}))
@pytest.mark.parametrize("value", [None, -2, 1.5, "x" * (MOST_NAME + 1), [1], {}, [["00", -1]], True, 2**70])
def test_a_reservation_with_a_value_that_cannot_be_is_left_out(field: str, value: object) -> None:
    whole = json.loads(reservations_text([RESERVATION, RESERVATION], 0.0))
    if (field, value) in (("until", 1.5), ("lease", 1.5), ("granted", True), ("token", True)):
        value = "no"
    whole["reservations"][0][field] = value
    found, wrong = read_reservations(json.dumps(whole), 0.0)
    assert (len(found), wrong) == (1, 1)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"format": 1}', '{"format": 2, "reservations": []}']
)
def test_a_file_of_another_kind_is_damaged(text: str) -> None:
    with pytest.raises(DamagedFile):
        read_reservations(text, 0.0)


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("value", [None, -1, 61, "x" * (MOST_NAME + 1), [1], {}, 2**70, float("nan")])
def test_an_mcp_with_a_value_that_cannot_be_is_left_out(at: int, value: object) -> None:
    whole = json.loads(network_text(NETWORK))
    whole["mcps"][0][at] = value
    found, wrong = read_network(json.dumps(whole))
    assert (found.mcps, found.links, wrong) == (NETWORK.mcps[1:], NETWORK.links, 1)


def test_a_file_of_an_earlier_version_has_no_mcps() -> None:
    whole = json.loads(network_text(NETWORK))
    del whole["mcps"]
    assert read_network(json.dumps(whole)) == (NETWORK._replace(mcps=()), 0)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_json_it_is_readers_end_by_their_own_error(value: object) -> None:
    text = json.dumps(
        {"format": 1, **{key: [value] for key in ("links", "units", "mcps", "used", "flows", "reservations")}}
    )
    assert read_reservations(text, 0.0)[0] == ()
    assert read_usage(text)[0].used == ()
    assert read_network(text)[0].units == ()
    for read in (read_session, lambda line: read_lease(line, 0.0)):
        try:
            read(json.dumps(value))
        except ValueError:
            pass


# ---- the log of sessions -------------------------------------------------------------------------


def test_sessions_are_appended_read_back_and_forgotten_when_known_again(tmp_path: Path) -> None:
    log = SessionLog(tmp_path)
    log.write([(10, SESSION), (11, PLAIN)], [])
    log.write([(12, SESSION._replace(token=5))], [11])
    path = tmp_path / sessionlog.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open("a") as file:
        file.write('[3,"half')  # it was killed while it wrote
    second = SessionLog(tmp_path)
    assert second.load() == ((SESSION, SESSION._replace(token=5)), 1)
    second.write([(1, PLAIN)], [])
    # Killed before the switches had told of anything: the third knows all of it.
    third = SessionLog(tmp_path)
    assert third.load() == ((SESSION, SESSION._replace(token=5), PLAIN), 0)
    third.write([(1, SESSION)], [])
    third.forget()
    assert SessionLog(tmp_path).load() == ((SESSION,), 0)


def test_the_log_does_not_grow_with_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_log, "SLACK", 1_000)
    log = SessionLog(tmp_path)
    for number in range(500):
        log.write([(number, SESSION)], [number - 2])
    assert (tmp_path / sessionlog.FILE).stat().st_size < 3_000
    assert len(SessionLog(tmp_path).load()[0]) == 2


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("mine\n")
    os.symlink(tmp_path / "other", tmp_path / sessionlog.FILE)
    log = SessionLog(tmp_path)
    with pytest.raises(StateError):
        log.load()
    log.write([(1, SESSION)], [])  # the first write is a new file
    assert (tmp_path / "other").read_text() == "mine\n"


# ---- the keeper ----------------------------------------------------------------------------------


def keeper(folder: Path, **more) -> Keeper:
    folder.mkdir(mode=0o700, exist_ok=True)
    engine = Engine(off_path_site(), Policy(), epoch=1)
    return Keeper(engine, engine.counters, folder, lambda: 100.0, **more)


def restored(one: Keeper) -> KeptState:
    told: list[KeptState] = []
    one.restore(lambda given: told.append(given.kept) if isinstance(given, Restored) else None)
    return told[0]


def test_a_damaged_file_costs_itself_and_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    for name, text in (("usage", usage_text(USAGE)), ("network", "{}"), ("reservations", "\x00")):
        (folder / FILES[name]).write_text(text)
        (folder / FILES[name]).chmod(0o600)
    one = keeper(folder)
    assert restored(one) == KeptState(usage=USAGE)
    assert one._engine.counters.not_restored == {LostPiece.FILE: 2}


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / FILES["usage"]).write_text(usage_text(USAGE))
    (folder / FILES["usage"]).chmod(0o644)
    one = keeper(folder)
    assert restored(one) == KeptState()
    assert one._engine.counters.not_restored == {LostPiece.FILE: 1}


def test_what_cannot_be_written_is_counted_and_tried_again(tmp_path: Path) -> None:
    one = keeper(tmp_path / "state")
    one.restore(lambda given: None)
    one._engine.reserving.changes += 1
    (tmp_path / "state").rename(tmp_path / "away")
    (tmp_path / "state").write_text("")  # no directory: even root cannot write into it
    one.save()
    assert one._engine.counters.not_restored == {LostPiece.WRITE: 1}
    (tmp_path / "state").unlink()
    (tmp_path / "away").rename(tmp_path / "state")
    one.save()
    assert (tmp_path / "state" / FILES["reservations"]).exists()
    assert one._engine.counters.not_restored == {LostPiece.WRITE: 1}


def leasing(folder: Path) -> Keeper:
    folder.mkdir(mode=0o700, exist_ok=True)
    engine = Engine(dhcp_site(), Policy(), epoch=1)
    return Keeper(engine, engine.counters, folder, lambda: 100.0)


def give(one: Keeper) -> None:
    """What the keeper restores goes to its engine."""
    one.restore(lambda given: [] if one._engine.handle(given, 100.0) else None)


def lease(one: Keeper, last: int) -> bytes:
    """A host gets an address."""
    client, address = bytes((2, 0, 0, 0, 9, last)), f"10.1.0.{last}"
    for port, frame in (
        (HERE, dhcp_frame(DhcpType.REQUEST, client=client)),
        (TRUSTED, dhcp_frame(DhcpType.ACK, client=client, given=address, lease=600)),
    ):
        one._engine.handle(DhcpSeen(*port, read_dhcp(frame), frame), 100.0)
    return packed(address)


@pytest.mark.row("N-7.2a")
def test_leases_are_there_after_a_restart_and_damage_costs_itself(tmp_path: Path) -> None:
    one = leasing(tmp_path)
    give(one)
    first, second = lease(one, 9), lease(one, 10)
    one.save()
    with (tmp_path / lease_log.FILE).open("a") as file:
        file.write('[3,1,1,"half')  # it was killed while it wrote
    for _ in range(2):  # also of the one that took them over
        after = leasing(tmp_path)
        give(after)
        neighbours = after._engine.neighbours
        assert set(neighbours.leases) == {first, second}
        assert neighbours.port_of(first) == PortRef(*HERE)
        assert 590 < neighbours.leases[first].until - 100.0 <= 600
        after.save()
        after.save()
    assert sum(1 for _ in (tmp_path / lease_log.FILE).open()) == 2
    after._engine.handle(Tick(), 100.0 + 700.0)
    after.save()
    last = leasing(tmp_path)
    give(last)
    assert not last._engine.neighbours.leases, "what ended is over for the next one too"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "directory"])
def test_leases_that_cannot_be_read_cost_themselves(tmp_path: Path, make) -> None:
    make(tmp_path / lease_log.FILE, 0o700)
    one = leasing(tmp_path)
    assert restored(one) == KeptState()
    assert one._engine.counters.not_restored == {LostPiece.FILE: 1}


def test_leases_are_told_some_at_a_time_and_beyond_the_bound_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LeaseLog(tmp_path, lambda: 0.0)
    log.write(
        [(n, LEASE._replace(port=PortRef(*HERE), address=bytes((10, 1, 0, n)))) for n in range(1, 9)], []
    )
    log.write([(9, LEASE._replace(port=PortRef(99, 1)))], [])
    monkeypatch.setattr(dhcp_leases, "LEASES", 6)
    monkeypatch.setattr(dhcp_leases, "TOLD_AT_ONCE", 4)
    monkeypatch.setattr("time.time", lambda: 0.0)
    one = leasing(tmp_path)
    give(one)
    assert one._engine.counters.not_restored == {LostPiece.LEASE: 3}
    told = [len(one._engine.dhcp_leases.news(100.0)[0]) for _ in range(3)]
    assert told == [4, 2, 0] and one._engine.dhcp_leases.all_told


def test_only_what_changed_is_written_and_the_control_reads_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    one = keeper(folder)
    one.restore(lambda given: None)
    one.save()
    assert not list(folder.iterdir())
    one.around(lambda given: setattr(one._engine.reserving, "changes", 1))(Restored(KeptState()))
    assert [path.name for path in folder.iterdir()] == [FILES["reservations"]]
    told: list[object] = []
    keeper(folder, forgets=True).restore(told.append)
    assert told == []


@pytest.mark.row("D-6.7.1")
def test_a_defect_in_one_part_ends_no_other_and_is_counted_and_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = keeper(tmp_path / "state")
    one.restore(lambda given: None)
    faults, told = one._engine.counters.work_faults, list[str]()
    faults.tell = lambda work, error: told.append(f"{work} {type(error).__name__}")
    one._engine.reserving.changes += 1
    with monkeypatch.context() as broken:
        broken.setattr(one._engine.kept_sessions, "news", None)  # not even callable
        for _ in range(3):
            one.save()
    assert faults.count == {StandingWork.STATE_KEEPING: 3} and told == ["state-keeping TypeError"]
    assert (tmp_path / "state" / FILES["reservations"]).exists()
    one.save()
    assert faults.count.total() == 3


def test_the_watch_goes_on_after_any_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = keeper(tmp_path / "state")
    one.restore(lambda given: None)
    turns = iter(range(3))
    monkeypatch.setattr(one._engine.dhcp_leases, "news", None)
    monkeypatch.setattr(hub, "sleep", lambda seconds: next(turns))
    with pytest.raises(StopIteration):
        one.watch()
    assert one._engine.counters.work_faults.count == {StandingWork.STATE_KEEPING: 3}


def test_a_record_that_cannot_be_written_costs_itself(tmp_path: Path) -> None:
    def line_of(number: int, kept: str | None) -> str:
        if kept == "crooked":
            raise KeyError(kept)
        return f"{number} {kept}\n"

    log = change_log.ChangeLog[str](tmp_path / "file", line_of, lambda line: (0, line))
    with pytest.raises(KeyError):
        log.write([("a", "first"), ("b", "crooked"), ("c", "last")], [])
    assert (tmp_path / "file").read_text() == "0 first\n2 last\n"
    log.write([("b", "straight")], ["b"])
    assert (tmp_path / "file").read_text().endswith("1 straight\n1 None\n")
