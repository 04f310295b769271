"""The kernel's settings that --apply makes and --check looks for."""

from pathlib import Path

import pytest

from steering.relay.kernel import sysctls
from tests.support.relay_options import options


def setting(name: str) -> sysctls.Setting:
    (found,) = (one for one in sysctls.settings(options()) if one.name == name)
    return found


def test_a_path_that_drops_large_packets_in_silence_is_probed() -> None:
    probing = setting("net.ipv4.tcp_mtu_probing")
    assert [probing.holds(value) for value in ("0", "1", "2")] == [False, True, True]
    assert "net.ipv4.tcp_mtu_probing=1" in sysctls.script(options())


def test_apply_writes_what_does_not_hold_and_lowers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysctls, "PROC", tmp_path)
    names = {one.name: one for one in sysctls.settings(options())}
    for name in names:
        sysctls.path_of(name).parent.mkdir(parents=True, exist_ok=True)
        sysctls.path_of(name).write_text("0\n")
    sysctls.path_of("net.core.somaxconn").write_text("65536\n")
    sysctls.apply(options())
    assert all(one.holds(one.path.read_text().strip()) for one in names.values())
    assert sysctls.path_of("net.core.somaxconn").read_text() == "65536\n"
    assert sysctls.path_of("net.ipv4.tcp_mtu_probing").read_text() == "1"
