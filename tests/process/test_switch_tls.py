"""Switches by TLS: certificates of the site's CA only, each good for its own switch, and nobody waits for another."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.controller_process import LINKS, SITE, Running, refused
from tests.support.fakes.rawswitch import ECHO_REPLY, ECHO_REQUEST, FLOW_MOD, PACKET_OUT, RawSwitch, message
from tests.support.rest_calls import certificates
from tests.support.waiting import wait_for

MORE = "switch_certificates: {s2: two.example}\n"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificates(folder, "s1", "two.example", "s3")
    return folder


def secured(folder: Path, pki: Path, *more: str) -> Running:
    words = ["--switch-cert", "server.crt", "--switch-key", "server.key", "--switch-ca", "ca.pem"]
    return Running(folder, SITE + LINKS + MORE, *(str(pki / w) if "." in w else w for w in words), *more)


@pytest.fixture(scope="module")
def running(pki: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with secured(tmp_path_factory.mktemp("running"), pki) as made:
        yield made


def context(pki: Path, name: str | None) -> ssl.SSLContext:
    """A switch's: it believes the controller by the CA, and shows the certificate `name`."""
    made = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    made.check_hostname = False
    if name is not None:
        made.load_cert_chain(str(pki / f"{name}.pem"))
    return made


@pytest.mark.parametrize(("dpid", "name"), [(1, "s1"), (2, "two.example")])
def test_a_switch_with_its_own_certificate_is_served(
    running: Running, pki: Path, dpid: int, name: str
) -> None:
    with RawSwitch(dpid) as switch:
        switch.connect(running.port, context=context(pki, name)).quiet()
        big = message(ECHO_REQUEST, 0xABCD, bytes(60_000))
        for _ in range(20):
            switch.send(big)
        wait_for(lambda: len(switch.of_type(ECHO_REPLY)) == 20)
        assert all(seen.data[8:] == bytes(60_000) for seen in switch.of_type(ECHO_REPLY))
        assert switch.flows


@pytest.mark.parametrize(("dpid", "name"), [(1, "s3"), (1, "two.example"), (2, "s1"), (2, "server")])
def test_the_certificate_of_another_is_refused_and_sees_no_entry(
    running: Running, pki: Path, dpid: int, name: str
) -> None:
    before = running.metric("steering_disconnects_total", reason="wrong-certificate")
    with RawSwitch(dpid) as rogue:
        rogue.connect(running.port, context=context(pki, name))
        assert rogue.ended.wait(30)
        assert not {seen.type for seen in rogue.seen} & {FLOW_MOD, PACKET_OUT}
    wait_for(lambda: running.metric("steering_disconnects_total", reason="wrong-certificate") == before + 1)


@pytest.mark.parametrize("name", [None, "fake", "plain", "rubbish"])
def test_no_certificate_of_the_ca_is_no_switch(running: Running, pki: Path, name: str | None) -> None:
    before = running.metric("steering_disconnects_total", reason="no-tls")
    with RawSwitch(1) as rogue:
        try:
            if name == "plain":
                rogue.connect(running.port)
            elif name == "rubbish":
                rogue.connect(running.port, b"\x16\x03\x01\xff\xff" + bytes(70_000))
            else:
                rogue.connect(running.port, context=context(pki, name))
        except OSError:
            pass  # refused within its handshake
        wait_for(lambda: running.metric("steering_disconnects_total", reason="no-tls") == before + 1)
        assert not {seen.type for seen in rogue.seen} & {FLOW_MOD, PACKET_OUT}
    assert "Traceback" not in running.log()


def test_a_switch_and_the_log_learn_why_a_certificate_is_not_taken(running: Running, pki: Path) -> None:
    """As of one that has expired: else an operator sees a connection that ends, at both ends."""
    plain = socket.create_connection(("127.0.0.1", running.port), 30)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"), context(pki, "fake").wrap_socket(plain) as switch:
        switch.recv(1)
    wait_for(lambda: "no-tls ([SSL: CERTIFICATE_VERIFY_FAILED]" in running.log())


def test_handshakes_that_never_end_hold_up_no_switch(running: Running, pki: Path) -> None:
    idle = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(100)]
    for one in idle:
        one.sendall(b"\x16")
    with RawSwitch(1) as switch:
        switch.connect(running.port, context=context(pki, "s1")).quiet()
        assert switch.flows
    for one in idle:
        one.close()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--listen", "0.0.0.0:6653"], "--switch-insecure"),
        (["--switch-cert", "a"], "go together"),
        (["--switch-cert", "a", "--switch-key", "b"], "go together"),
        (["--switch-cert", "a", "--switch-key", "b", "--switch-ca", "c"], "cannot be used"),
    ],
)
def test_what_cannot_be_listened_for_safely_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    answer = refused(Running(tmp_path), *words)
    assert said in answer and len(answer.splitlines()) == 1


def test_switches_from_outside_without_tls_are_let_in_where_that_is_said(tmp_path: Path) -> None:
    with Running(tmp_path, SITE + LINKS, "--switch-insecure") as running:
        running.end()
    running.command[running.command.index("--listen") + 1] = f"0.0.0.0:{running.port}"
    with running, RawSwitch(1) as switch:
        switch.connect(running.port).quiet()


def test_the_certificates_are_read_before_any_switch_is_served(tmp_path: Path, pki: Path) -> None:
    running = secured(tmp_path, pki, "--switch-ca", str(pki / "none.pem"))
    ran = subprocess.run(
        running.command, cwd=tmp_path, env=running.environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
