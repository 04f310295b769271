"""Members agree on a policy by a real etcd."""

from collections.abc import Iterator
from itertools import count

import pytest

from steering.store.etcd.gateway import EtcdGateway
from tests.support.etcd import EtcdMembers
from tests.support.policy_contract import PolicyContract, Start
from tests.support.policy_members import FIRST, PolicyMember

_cells = count()


@pytest.fixture
def start(etcd: EtcdMembers) -> Iterator[Start]:
    """Starts a member of a cell of the test's own."""
    cell = str(next(_cells))
    started: list[PolicyMember] = []

    def starts(name: str, text: str = FIRST, refuses: str = "\0", waits: bool = False) -> PolicyMember:
        started.append(PolicyMember(EtcdGateway(etcd.access), cell, name, text, refuses, waits))
        return started[-1]

    yield starts
    for member in started:
        member.end()


class TestPolicyAgreement(PolicyContract):
    """On a real etcd."""
