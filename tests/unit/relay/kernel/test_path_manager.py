"""What the kernel's path manager answers is checked: its sender, its length, and how much comes."""

import errno
import struct

import pytest

from steering.relay.kernel.path_manager import KernelSubflow, PathManager, PathManagerError

ONE = KernelSubflow(0x92C53B6F, "10.9.0.2", 80, "10.1.0.2", 40_000)
FAMILY, ERROR = 33, 2


def answer(code: int, serial: int = 1, cut: int = 0) -> bytes:
    body = struct.pack("=i", -code)[: 4 - cut]
    return struct.pack("=IHHII", 16 + len(body), ERROR, 0, serial, 0) + body


class Told:
    """In the place of the socket for orders: datagrams with their senders."""

    def __init__(self, *told: tuple[bytes, int]) -> None:
        self.told = list(told)

    def send(self, data: bytes) -> None:
        assert struct.unpack_from("=I", data)[0] == len(data)

    def recvfrom(self, size: int) -> tuple[bytes, tuple[int, int]]:
        if not self.told:
            raise TimeoutError
        data, sender = self.told.pop(0)
        return data[:size], (sender, 0)


def asking(*told: tuple[bytes, int]) -> PathManager:
    made = PathManager.__new__(PathManager)
    made._orders, made._family, made._sequence = Told(*told), FAMILY, 0  # type: ignore[assignment]
    return made


def refused(made: PathManager) -> int | None:
    with pytest.raises(PathManagerError) as error:
        made.priority(ONE, True)
    return error.value.errno


def test_an_order_is_acknowledged_or_refused_by_the_kernel() -> None:
    asking((answer(0), 0)).priority(ONE, True)
    assert refused(asking((answer(errno.EINVAL), 0))) == errno.EINVAL
    assert refused(asking()) == errno.ETIMEDOUT


def test_what_others_say_and_answers_to_earlier_orders_are_passed_over() -> None:
    asking((answer(errno.EPERM), 77), (answer(errno.EPERM, 9), 0), (b"\1" * 7, 0), (answer(0), 0)).end(ONE)
    assert refused(asking((answer(0), 77))) == errno.ETIMEDOUT


def test_an_answer_that_is_cut_off_or_never_comes_is_an_error_and_no_loop() -> None:
    assert refused(asking((answer(0, cut=2), 0))) == errno.EBADMSG
    strays = [(answer(0, 9), 0)] * 1_000
    made = asking(*strays)
    assert refused(made) == errno.EBADMSG
    assert len(made._orders.told) > 900  # type: ignore[attr-defined]
