"""What the relay does when something ends badly, and what it never does: pretend a clean end, grow without bound."""

import errno
import os
import re
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from steering.relay.kernel.delivery import count_unfinished
from tests.support.relay_lab import MCP, ROOT, Lab, RelayProcess, wait_for

FAMILIES = (4, 6)
RELAY = (sys.executable, "-m", "steering.cli.main", "relay")
SOURCE = ("--source-mode", "transparent")
MINIMUM = (*SOURCE, "--port", "5201")


@pytest.fixture(scope="module")
def namespaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    built = Lab(tmp_path_factory.mktemp("relay"))
    # Hosts count bytes here and compare none; one that does not read has to leave the relay's kernel something to deliver.
    built.receive_buffers("ue", 131_072)
    yield built
    built.close()


@pytest.fixture
def lab(namespaces: Lab) -> Iterator[Lab]:
    yield namespaces
    namespaces.stop_relays()


def end_of(sock: socket.socket) -> str:
    """How a connection ended: "eof", or the name of the error; a time-out is an error too."""
    try:
        while sock.recv(1 << 16):
            pass
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))
    return "eof"


def fate(lab: Lab, family: int, address: str = "", says: bytes = b"") -> str:
    """How a connection that the relay refuses ends; the reset may overtake connect()'s return, and what a host says."""
    try:
        with lab.connect(family, address=address) as host:
            host.sendall(says)
            return end_of(host)
    except (ConnectionResetError, BrokenPipeError):
        return "ECONNRESET"


def pump(sock: socket.socket) -> str:
    """Send until it fails; the name of the error."""
    block = b"x" * 65536
    try:
        while True:
            sock.sendall(block)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, repr(error))


@pytest.mark.row("D-6.1b")
@pytest.mark.parametrize("family", FAMILIES)
def test_refused_dial_resets_the_host(lab: Lab, family: int) -> None:
    relay = lab.relay()
    assert fate(lab, family) == "ECONNRESET"
    assert relay.counter("dial_failed") == 1
    assert relay.counter("active") == 0


def test_unanswered_dial_resets_the_host(lab: Lab) -> None:
    relay = lab.relay("--dial-timeout", "1")
    lab.run("srv", "nft add table inet deaf")
    lab.run("srv", "nft add chain inet deaf in { type filter hook input priority 0 ; }")
    lab.run("srv", "nft add rule inet deaf in tcp dport 5201 drop")
    try:
        began = time.monotonic()
        assert fate(lab, 4, says=b"hello") == "ECONNRESET"
        # The relay waits its second; the kernel alone would give up after two minutes, and the host after 30 s.
        assert time.monotonic() - began > 0.9
    finally:
        lab.run("srv", "nft delete table inet deaf")
    assert relay.counter("dial_failed") == 1


def send_and_end(sock: socket.socket, size: int) -> None:
    sock.sendall(bytes(size))
    sock.shutdown(socket.SHUT_WR)


def live_upload(lab: Lab, family: int) -> tuple[socket.socket, socket.socket, list[str]]:
    """A host sending for ever and the server's connection; the list gets the host's error."""
    with lab.server(family) as listener:
        host = lab.connect(family)
        conn, _ = listener.accept()
    errors: list[str] = []
    threading.Thread(target=lambda: errors.append(pump(host)), daemon=True).start()
    got = 0
    while got < 4_000_000:
        got += len(conn.recv(1 << 16))
    return host, conn, errors


@pytest.mark.row("D-6.7.1")
@pytest.mark.parametrize("family", FAMILIES)
def test_killed_relay_resets_host_and_server(lab: Lab, family: int) -> None:
    relay = lab.relay()
    host, conn, errors = live_upload(lab, family)
    with host, conn:
        relay.kill()
        assert end_of(conn) == "ECONNRESET", "never a clean end of a truncated file"
        wait_for(lambda: errors)
        assert errors[0] in ("ECONNRESET", "EPIPE")


@pytest.mark.parametrize("family", FAMILIES)
def test_terminated_relay_resets_live_hosts_and_takes_its_rules_away(lab: Lab, family: int) -> None:
    relay = lab.relay()
    assert "steering_relay" in lab.run("mcp", "nft list tables")
    host, conn, errors = live_upload(lab, family)
    with host, conn:
        assert relay.stop() == 0, "it waits for no live session: this one would go on for ever"
        assert end_of(conn) == "ECONNRESET"
        wait_for(lambda: errors)
        assert errors[0] in ("ECONNRESET", "EPIPE")
    assert "steering_relay" not in lab.run("mcp", "nft list tables")
    assert "5354" not in lab.run("mcp", "ip rule") + lab.run("mcp", "ip -6 rule")
    assert not relay.status_path.exists()


def unfinished(lab: Lab) -> int:
    """Connections of the relay's port that the kernel still has to deliver something of."""
    tables = [lab.run("mcp", f"cat /proc/net/{name}") for name in ("tcp", "tcp6")]
    return sum(count_unfinished(table, lambda port: port == 5201) for table in tables)


@pytest.mark.parametrize(("size", "rule_stays"), [(50_000, False), (300_000, True)])
def test_terminated_relay_leaves_ended_sessions_to_finish(lab: Lab, size: int, rule_stays: bool) -> None:
    """What the host has not taken yet is the kernel's to deliver; it needs the rule that finds its sockets."""
    relay = lab.relay()
    with lab.server(4) as listener, lab.connect(4) as host:
        conn, _ = listener.accept()
        with conn:
            host.shutdown(socket.SHUT_WR)
            assert end_of(conn) == "eof"
            conn.sendall(b"x" * size)
        wait_for(lambda: relay.counter("ended_orderly") == 1)
        if not rule_stays:
            wait_for(lambda: not unfinished(lab))
        assert relay.stop() == 0, "it waits for no host that does not read"
        table = lab.run("mcp", "nft list ruleset")
        assert ("socket transparent" in table, "tproxy" in table) == (rule_stays, False)
        got = 0
        while part := host.recv(1 << 16):
            got += len(part)
        assert got == size
    lab.relay().stop()
    assert "steering_relay" not in lab.run("mcp", "nft list ruleset"), (
        "the next relay takes the kept rule away"
    )


@pytest.mark.parametrize("resets", ["host", "server"])
def test_reset_of_one_side_reaches_the_other(lab: Lab, resets: str) -> None:
    relay = lab.relay()
    with lab.server(4) as listener, lab.connect(4) as host:
        host.sendall(b"x")
        conn, _ = listener.accept()
        with conn:
            assert conn.recv(1) == b"x"
            gone, stays = (host, conn) if resets == "host" else (conn, host)
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            gone.close()
            assert end_of(stays) == "ECONNRESET"
    wait_for(lambda: relay.counter("ended_reset") == 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_slow_server_holds_the_host_back(lab: Lab, family: int) -> None:
    relay = lab.relay()
    before = relay.rss_kib()
    total = 64 << 20
    with lab.server(family) as listener, lab.connect(family) as host:
        conn, _ = listener.accept()
        host.settimeout(120)  # for all that it sends
        sender = threading.Thread(target=send_and_end, args=(host, total), daemon=True)
        sender.start()
        row = wait_for(lambda: _stalled(relay))
        assert 0 < row["buffered_up"] <= 65536
        assert row["bytes_up"] < total // 2, "the host was not held back"
        with conn:
            got = 0
            while part := conn.recv(1 << 20):
                got += len(part)
        assert got == total
        sender.join(30)
        assert relay.rss_kib() - before < 4096


def _stalled(relay: RelayProcess) -> dict[str, int] | None:
    """The only session, once it takes nothing more and keeps something that its server does not take."""
    first = relay.session()
    time.sleep(0.3)
    row = relay.session()
    return row if row["buffered_up"] and row["bytes_up"] == first["bytes_up"] > 0 else None


def test_sessions_over_the_limit_are_reset_and_counted(lab: Lab) -> None:
    relay = lab.relay("--max-sessions", "2")
    with lab.server(4) as listener, lab.connect(4) as one, lab.connect(4) as two:
        wait_for(lambda: relay.counter("active") == 2)
        assert fate(lab, 4) == "ECONNRESET"
        assert relay.counter("refused_limit") == 1
        for host in (one, two):
            host.sendall(b"x")
            conn, _ = listener.accept()
            conn.close()


@pytest.mark.parametrize("family", FAMILIES)
def test_the_relay_never_dials_itself(lab: Lab, family: int) -> None:
    relay = lab.relay()
    assert fate(lab, family, MCP[family]) == "ECONNRESET"
    assert (relay.counter("refused_destination"), relay.counter("accepted")) == (1, 1)


def test_two_hundred_sessions_at_once(lab: Lab) -> None:
    relay = lab.relay()
    with lab.server(4) as listener:
        hosts = [lab.connect(4) for _ in range(200)]
        for number, host in enumerate(hosts):
            host.sendall(b"%03d" % number)
        seen = set()
        for _ in hosts:
            conn, peer = listener.accept()
            with conn:
                seen.add((peer, conn.recv(3)))
                conn.sendall(b"ok")
        assert seen == {(host.getsockname(), b"%03d" % number) for number, host in enumerate(hosts)}
        tokens = {row["token"] for row in relay.status()["sessions"]}
        assert len(tokens) == 200
        for host in hosts:
            assert host.recv(10) == b"ok"
            host.close()
    wait_for(lambda: relay.counter("active") == 0)
    assert relay.counter("ended_orderly") == 200


def test_status_socket(lab: Lab) -> None:
    relay = lab.relay()
    assert stat.S_IMODE(os.stat(relay.status_path).st_mode) == 0o600
    with lab.server(4), lab.connect(4) as host:
        host.sendall(b"x")
        (row,) = wait_for(lambda: relay.status()["sessions"])
        shown = subprocess.run(
            [*RELAY, "--query", str(relay.status_path)], cwd=ROOT, capture_output=True, text=True
        )
        assert shown.returncode == 0
        assert row["token"] in shown.stdout and "accepted=1" in shown.stdout


@pytest.mark.parametrize("port", ["5201", "5202"])
def test_a_second_relay_is_refused_and_harms_nothing(lab: Lab, port: str) -> None:
    relay = lab.relay()
    command = [*lab.exec_in("mcp"), *RELAY, *SOURCE, "--port", port, "--prefix", "10.9.0.0/24", "--apply"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "another relay with --apply runs in this network namespace" in line
    assert f"(process {relay.process.pid})" in line
    assert fate(lab, 4) == "ECONNRESET"  # no server is listening: the first relay still intercepts
    assert relay.counter("dial_failed") == 1


def uncounted(listed: str) -> str:
    """Rules without what they have counted: a segment of an earlier test may come late."""
    return re.sub(r"packets \d+ bytes \d+", "", listed)


def test_printed_script_runs_twice_and_equals_apply(lab: Lab) -> None:
    words = [*RELAY, *MINIMUM, "--prefix", "10.9.0.0/24", "--prefix", "fd00:9::/64", "--nft"]
    script = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    views = ("nft list ruleset", "ip rule", "ip -6 rule", "ip route show table 5354", "ip mptcp limits")
    for _ in range(2):
        subprocess.run([*lab.exec_in("mcp"), "sh"], input=script, text=True, check=True)
        printed = [uncounted(lab.run("mcp", view)) for view in views]
    lab.relay()
    assert [uncounted(lab.run("mcp", view)) for view in views] == printed


def test_without_kernel_mptcp_one_line_and_status_2(lab: Lab) -> None:
    lab.sysctl("mcp", "net.mptcp.enabled=0")
    try:
        done = subprocess.run(
            [*lab.exec_in("mcp"), *RELAY, *MINIMUM], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
    finally:
        lab.sysctl("mcp", "net.mptcp.enabled=1")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "steering relay: MPTCP is switched off here: run sysctl -w net.mptcp.enabled=1"
    ]


def test_without_root_one_line_and_status_2() -> None:
    words = ["setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"]
    done = subprocess.run([*words, *RELAY, *MINIMUM], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["steering relay: root is needed (CAP_NET_ADMIN): run it with sudo"]
