"""The file of a token: whoever can read it is an MCP to the controller."""

import os
from pathlib import Path

import pytest

from steering.relay.model import OptionError
from steering.relay.options.values import MAX_TOKEN, read_token


def token_of(folder: Path, content: bytes = b"secret\n", mode: int = 0o600) -> str:
    file = folder / "token"
    file.write_bytes(content)
    file.chmod(mode)
    return str(file)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_token_of_the_owner_and_his_group_is_read(tmp_path: Path, mode: int) -> None:
    assert read_token(token_of(tmp_path, mode=mode)) == "secret"


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o620, 0o666])
def test_a_token_that_others_can_read_or_change_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(OptionError, match="others can read or change it: chmod 600 it"):
        read_token(token_of(tmp_path, mode=mode))


def test_a_pipe_or_a_folder_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for what in (tmp_path / "pipe", tmp_path, Path("/dev/null")):
        with pytest.raises(OptionError, match="it is no file"):
            read_token(str(what))


@pytest.mark.parametrize("content", [b"", b" \n", b"a b", b"\xff", b"x\ny", b"x" * (MAX_TOKEN + 1)])
def test_what_is_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(OptionError, match=r"it holds no token|no text"):
        read_token(token_of(tmp_path, content))
