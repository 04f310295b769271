"""TLS of the switch listener: its files may be replaced while the controller runs."""

import logging
import ssl
from pathlib import Path

import pytest

from steering.openflow.connection.tls import SwitchTls, TlsChannel
from tests.support.rest_calls import certificates


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    certificates(tmp_path)
    return tmp_path


def shown(tls: SwitchTls, pki: Path) -> str:
    """The common name of the certificate that a switch is shown which connects now."""
    context = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    context.check_hostname = False
    context.load_cert_chain(str(pki / "client.pem"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    switch = context.wrap_bio(incoming, outgoing)
    controller = TlsChannel(tls.context())
    while not controller.is_open:
        try:
            switch.do_handshake()
        except ssl.SSLWantReadError:
            pass
        controller.received(outgoing.read())
        incoming.write(controller.to_send())
    subject = (switch.getpeercert() or {})["subject"]
    return str(dict(pair for part in subject for pair in part)["commonName"])  # type: ignore[misc, union-attr]


def test_a_certificate_that_is_replaced_counts_for_the_next_connection(
    pki: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tls = SwitchTls(*(str(pki / name) for name in ("server.crt", "server.key", "ca.pem")))
    assert shown(tls, pki) == "server"
    (pki / "server.crt").write_bytes((pki / "client.crt").read_bytes())
    assert shown(tls, pki) == "server", "its key is still to come"
    assert "cannot be used" in caplog.text
    (pki / "server.key").write_bytes((pki / "client.key").read_bytes())
    assert shown(tls, pki) == "client" and "are in use" in caplog.text
    (pki / "server.key").unlink()
    assert shown(tls, pki) == "client"
    assert len(caplog.records) == 3, "a change is told once"
