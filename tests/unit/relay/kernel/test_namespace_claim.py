"""One relay with --apply in a network namespace. What a second one leaves alone: tests/integration/relay/test_failures.py."""

import io
import os
import socket
from contextlib import closing

import pytest

from steering.relay.kernel.namespace_claim import NamespaceClaim
from steering.relay.log import Log
from steering.relay.model import PlatformError


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
    monkeypatch.setattr("steering.relay.kernel.namespace_claim.ROOT", -1)
    with closing(namespace.claim()):
        namespace.claim(own=os.geteuid() + 1).close()
    assert f"user={os.geteuid()}" in namespace.written.getvalue()


def test_one_whose_user_cannot_be_known_is_taken_for_a_relay(namespace: Namespace) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(namespace.name)
        with pytest.raises(PlatformError, match="runs in this network namespace:"):
            namespace.claim()
