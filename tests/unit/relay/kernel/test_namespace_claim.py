"""One relay with --apply in a network namespace. What a second one leaves alone: tests/integration/relay/test_failures.py."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from steering.relay.kernel import namespace_claim
from steering.relay.kernel.namespace_claim import NamespaceClaim
from steering.relay.log import Log
from steering.relay.model import PlatformError

HOLD = """import socket, sys
one = socket.socket(socket.AF_UNIX)
one.bind(bytes.fromhex('{name}'))
one.listen()
print('held', flush=True)
sys.stdin.read()
"""


class Namespace:
    """A name of this test's own: a relay may live on this machine."""

    def __init__(self) -> None:
        self.written = io.StringIO()
        self.name = f"\0steering test {os.getpid()} {id(self)}"

    def claim(self, own: int | None = None) -> NamespaceClaim:
        log = Log(False, False, self.written)
        return NamespaceClaim(log, 0.0, self.name, os.geteuid if own is None else lambda: own)


@pytest.fixture
def namespace() -> Namespace:
    return Namespace()


def test_a_second_one_is_refused_in_one_line_with_the_first_ones_process(namespace: Namespace) -> None:
    with closing(namespace.claim()), pytest.raises(PlatformError) as refused:
        namespace.claim()
    assert f"(process {os.getpid()})" in str(refused.value) and "\n" not in str(refused.value)


def test_the_next_one_is_taken_when_the_first_has_ended(namespace: Namespace) -> None:
    namespace.claim().close()
    namespace.claim().close()


def test_those_that_were_refused_do_not_wear_it_out(namespace: Namespace) -> None:
    with closing(namespace.claim()):
        for _ in range(100):
            with pytest.raises(PlatformError, match=f"process {os.getpid()}"):
                namespace.claim()


def test_another_users_program_keeps_no_relay_from_its_work(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program here is root's or the test's own user's, so the relay is given other ideas of both."""
    monkeypatch.setattr(namespace_claim, "ROOT", -1)
    monkeypatch.setattr(namespace_claim, "_NET_ADMIN", 0)
    with closing(namespace.claim()):
        namespace.claim(own=os.geteuid() + 1).close()
    assert f"user={os.geteuid()}" in namespace.written.getvalue()


@pytest.fixture
def service(namespace: Namespace) -> Iterator[Callable[[bool], int]]:
    """Starts a program that holds the name as another user, with the capability that a service has or without; its process."""
    begun: list[subprocess.Popen[str]] = []

    def start(may_set_up: bool) -> int:
        kept = "+net_admin" if may_set_up else "-all"
        words = ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps", kept, "--ambient-caps", kept]
        one = subprocess.Popen(
            [*words, sys.executable, "-c", HOLD.format(name=namespace.name.encode().hex())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        begun.append(one)
        assert one.stdout is not None and one.stdout.readline() == "held\n"
        return one.pid

    yield start
    for one in begun:
        one.communicate()


def test_a_service_with_a_user_of_its_own_is_a_relay_for_root_too(
    namespace: Namespace, service: Callable[[bool], int]
) -> None:
    process = service(True)
    with pytest.raises(PlatformError, match=f"process {process}"):
        namespace.claim()


def test_a_user_who_may_set_nothing_up_is_none(namespace: Namespace, service: Callable[[bool], int]) -> None:
    process = service(False)
    namespace.claim().close()
    assert f"process={process} user=65534" in namespace.written.getvalue()


def test_a_name_that_is_taken_and_not_listened_at_keeps_no_relay_from_its_work(namespace: Namespace) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(namespace.name)
        namespace.claim().close()
    assert "claim held by a stranger" in namespace.written.getvalue()


def test_a_kernel_that_refuses_the_name_keeps_no_relay_from_its_work(namespace: Namespace) -> None:
    namespace.name = "/nowhere/" + "x" * 20
    namespace.claim().close()
    assert "no claim made" in namespace.written.getvalue()
