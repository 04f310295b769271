"""The authorisers that the site file names. Secrets are in files of their own, never in these records."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpAaa:
    """An HTTP hook. `token_file`: a bearer token to present, a file of mode 0600."""

    url: str
    token_file: str | None = None
    ca_file: str | None = None  # the CA of the server's certificate; None: the system's CAs


@dataclass(frozen=True, slots=True)
class RadiusAaa:
    """A RADIUS server (RFC 2865). `secret_file`: the shared secret, a file of mode 0600."""

    host: str
    secret_file: str
    port: int = 1812
    nas_identifier: str = "steering"


@dataclass(frozen=True, slots=True)
class Aaa:
    """The authorisers of a site. None for one that the site file does not name."""

    http: HttpAaa | None = None
    radius: RadiusAaa | None = None
