"""Secrets in the state directory: made once, private, refused when they are not."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from steering.store import credentials
from steering.store.interface import StateError
from steering.store.state_directory import default_state_dir

Reader = Callable[[Path], str | bytes]
SECRETS = [(credentials.bearer_token, "token"), (credentials.lldp_key, "lldp.key")]
both = pytest.mark.parametrize(("read", "name"), SECRETS)


def test_sizes(tmp_path: Path) -> None:
    assert len(credentials.bearer_token(tmp_path)) == 43  # 256 bits in base64 without padding
    assert len(credentials.lldp_key(tmp_path)) == 32


@both
def test_made_once_private_and_read_again(tmp_path: Path, read: Reader, name: str) -> None:
    state_dir = tmp_path / "deep" / "state"
    before = os.umask(0)
    try:
        first = read(state_dir)
    finally:
        os.umask(before)
    assert read(state_dir) == first
    assert stat.S_IMODE((state_dir / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert os.listdir(state_dir) == [name], "nothing half made is left"
    assert read(tmp_path / "another") != first


@pytest.mark.row("N-7.1")
@both
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_open_to_others_is_refused(tmp_path: Path, read: Reader, name: str, mode: int) -> None:
    read(tmp_path)
    (tmp_path / name).chmod(mode)
    with pytest.raises(StateError) as refused:
        read(tmp_path)
    line = str(refused.value)
    assert f"mode {mode:04o}" in line
    assert "remove it" in line
    assert "\n" not in line


@both
def test_a_link_is_refused_and_what_it_names_untouched(tmp_path: Path, read: Reader, name: str) -> None:
    target = tmp_path / "target"
    (tmp_path / name).symlink_to(target)
    with pytest.raises(StateError, match="symbolic link"):
        read(tmp_path)
    assert not target.exists()
    target.write_text("x" * 64)
    with pytest.raises(StateError, match="symbolic link"):
        read(tmp_path)


@both
def test_a_fifo_does_not_hold_up_the_start(tmp_path: Path, read: Reader, name: str) -> None:
    os.mkfifo(tmp_path / name, 0o600)
    with pytest.raises(StateError, match="no regular file"):
        read(tmp_path)


@both
@pytest.mark.parametrize("content", [b"", b"short", b"\xff" * 64, b"a b" * 30, b"A" * 100_000])
def test_what_is_no_secret_is_refused(tmp_path: Path, read: Reader, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / name).chmod(0o600)
    with pytest.raises(StateError, match="remove it") as refused:
        read(tmp_path)
    assert content.decode("latin-1")[:5] not in str(refused.value) or not content


@both
def test_a_directory_that_others_write_is_refused(tmp_path: Path, read: Reader, name: str) -> None:
    tmp_path.chmod(0o770)
    with pytest.raises(StateError, match="chmod 700"):
        read(tmp_path)
    assert not (tmp_path / name).exists()


@both
def test_a_directory_that_cannot_be_is_one_line(tmp_path: Path, read: Reader, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot make the state directory"):
        read(tmp_path / "file" / "state")


def test_two_starting_controllers_share_the_first_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other controller makes the file after we looked and before we link ours."""
    rival: list[str] = []
    link = os.link

    def late(source: Path, target: Path) -> None:
        if not rival:
            rival.append("r" * 43)
            target.write_text(rival[0])
            target.chmod(0o600)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    assert credentials.bearer_token(tmp_path) == rival[0]


def test_the_url_is_replaced_and_taken_back_only_by_its_owner(tmp_path: Path) -> None:
    credentials.write_rest_url(tmp_path, "http://127.0.0.1:1")
    credentials.write_rest_url(tmp_path, "http://127.0.0.1:2")
    assert (tmp_path / "rest").read_text() == "http://127.0.0.1:2\n"
    credentials.remove_rest_url(tmp_path, "http://127.0.0.1:1")
    assert (tmp_path / "rest").exists()
    credentials.remove_rest_url(tmp_path, "http://127.0.0.1:2")
    assert os.listdir(tmp_path) == []
    credentials.remove_rest_url(tmp_path, "http://127.0.0.1:2")


def test_where_the_state_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from steering.cli import state_dirs  # the client may not import the northbound: both must say the same

    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("HOME", "/home/op")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_state_dir() == state_dirs.ROOTS == Path("/run/steering")
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    assert default_state_dir() == state_dirs.default_state_dir() == Path("/run/user/7/steering")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    expected_home = Path("/home/op/.local/state/steering")
    assert default_state_dir() == state_dirs.default_state_dir() == expected_home
