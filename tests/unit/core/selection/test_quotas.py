"""A refusal names the key that was full, in words of the operator's."""

from ipaddress import ip_address

import pytest

from steering.core.selection.quotas import Allowance, Ledger
from steering.model.limit import Limit

NONE = Limit(9, "limits")


@pytest.mark.row("D-6.3f")
@pytest.mark.parametrize(("server", "name"), [("10.9.0.2", "10.9.0.2:443"), ("fd00:9::2", "[fd00:9::2]:443")])
def test_a_server_is_named_by_address_and_port(server: str, name: str) -> None:
    ledger = Ledger()
    key = ("server", ip_address(server).packed + (443).to_bytes(2, "big"))
    ledger.take((key,))
    full = ledger.full(Allowance(NONE, (Limit(1, "policy"),), ((0, Limit(1, "policy")),)), (key,))
    assert str(full) == f"server {name}: 1 by policy"
    assert ledger.busiest(5) == [("server", name, 1)]
