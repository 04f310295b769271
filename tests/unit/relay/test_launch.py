"""A relay that opens, and the table that an earlier run left: made ready before listeners come, as it was where none do."""

import io
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from steering.relay.kernel.late_segments import calming, resuming
from steering.relay.kernel.rules import TABLE
from steering.relay.kernel.sockets import dial
from steering.relay.launch import opened
from steering.relay.log import Log
from steering.relay.model import ControllerAccess, Endpoint, Forward, PlatformError
from steering.relay.options.relay_options import RelayOptions
from tests.support.recorded_tools import RecordedTools
from tests.support.relay_options import options

LOG = Log(False, False, io.StringIO())


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordedTools:
    return RecordedTools(tmp_path, monkeypatch)


@pytest.fixture
def place() -> Iterator[Endpoint]:
    """Where a relay can listen: nobody else takes the port meanwhile."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield Endpoint("127.0.0.1", held.getsockname()[1])


def wanted(tmp_path: Path, place: Endpoint, status: str, *ports: int) -> RelayOptions:
    """A relay with a controller whose one listener needs no root, unless there are service ports too."""
    agent = ControllerAccess("http://127.0.0.1:1", "core", "t" * 40, None)
    target = Forward(place, Endpoint("10.9.0.2", 5201))
    return options(ports=ports, forward=(target,), agent=agent, status=str(tmp_path / status))


@pytest.mark.row("D-6.7.1", "S-15")
def test_the_table_before_is_made_ready_while_nobody_listens_and_is_as_it_was_where_no_relay_comes(
    tools: RecordedTools, tmp_path: Path, place: Endpoint
) -> None:
    """Here the status socket cannot be opened, after the listeners."""
    with pytest.raises(PlatformError, match="status socket"):
        opened(wanted(tmp_path, place, "no-such-folder/sock"), LOG, dial, True)
    ready, again = tools.calls()
    assert (ready.text, again.text) == (calming(TABLE), resuming(TABLE))
    assert place.port not in ready.listening | again.listening


def test_a_relay_whose_port_another_one_has_leaves_that_ones_table_alone(
    tools: RecordedTools, tmp_path: Path, place: Endpoint
) -> None:
    with closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)) as other:
        with pytest.raises(PlatformError, match="cannot listen"):
            opened(wanted(tmp_path, place, "sock", other.getsockname()[1]), LOG, dial, True)
    assert not tools.calls()


def test_what_was_not_made_ready_needs_no_mend(tools: RecordedTools, tmp_path: Path, place: Endpoint) -> None:
    tools.refuses("flush chain")  # there is no such table
    for apply in (True, False):
        with pytest.raises(PlatformError, match="status socket"):
            opened(wanted(tmp_path, place, "no-such-folder/sock"), LOG, dial, apply)
    assert tools.texts() == [calming(TABLE)]
