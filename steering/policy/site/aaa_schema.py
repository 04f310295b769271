"""The schema of `aaa` in a site file: the addresses and secrets of authorisers."""

import re
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, PlainValidator, WithJsonSchema

from steering.model.aaa import Aaa, HttpAaa, RadiusAaa
from steering.policy.language.fields import kind_of, refuse
from steering.policy.language.findings import Code, quoted
from steering.policy.language.validate import StrictModel

_PATH = re.compile(r"/[^\0]{1,1023}")
_HERE = ("127.0.0.1", "::1", "localhost")


def url(value: Any) -> str:
    """An http or https URL without credentials. http is allowed only to this machine, where nobody can eavesdrop."""
    if not isinstance(value, str):
        raise refuse(Code.WRONG_TYPE, f"must be a URL, not {kind_of(value)}")
    try:
        parts = urlsplit(value)
        host, wellformed = parts.hostname, (parts.port or 1) > 0
        (host or "").encode("idna")  # as the resolver does: a name such as a..b has no form there
    except ValueError:
        raise refuse(Code.BAD_VALUE, f"{quoted(value)} is no URL") from None
    if parts.scheme not in ("http", "https") or not host or not wellformed or len(value) > 1_024:
        raise refuse(Code.BAD_VALUE, f"{quoted(value)} is no URL such as https://aaa.example/authorise")
    if parts.username or parts.password or parts.fragment:
        raise refuse(Code.BAD_VALUE, "a URL without user, password and fragment is needed: use token_file")
    if parts.scheme == "http" and host not in _HERE:
        raise refuse(
            Code.BAD_VALUE, f"{quoted(value)} would be asked in clear: use https, or a loopback address"
        )
    return value


def server(value: Any) -> str:
    """The address of a server, which may be a loopback address."""
    try:
        address = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    if (
        address is None
        or address.is_multicast
        or address.is_unspecified
        or getattr(address, "scope_id", None)
    ):
        shown = quoted(value) if isinstance(value, str) else kind_of(value)
        raise refuse(Code.BAD_VALUE, f"{shown} is no server's IP address")
    return str(address)


def path(value: Any) -> str:
    """An absolute path of a file."""
    if not isinstance(value, str) or not _PATH.fullmatch(value):
        raise refuse(
            Code.BAD_VALUE, "a file by its whole path is needed, such as /etc/steering/radius.secret"
        )
    return value


Url = Annotated[str, PlainValidator(url), WithJsonSchema({"type": "string", "format": "uri"})]
File = Annotated[str, PlainValidator(path), WithJsonSchema({"type": "string", "pattern": "^/"})]
Server = Annotated[
    str, PlainValidator(server), WithJsonSchema({"type": "string", "pattern": "^[0-9A-Fa-f:.]{2,45}$"})
]


class HttpFile(StrictModel):
    url: Url
    token_file: File | None = None
    ca_file: File | None = None


class RadiusFile(StrictModel):
    host: Server
    secret_file: File
    port: int = Field(default=1812, ge=1, le=65_535)
    nas_identifier: str = Field(default="steering", min_length=1, max_length=253, pattern="^[!-~]+$")


class AaaFile(StrictModel):
    http: HttpFile | None = None
    radius: RadiusFile | None = None

    def compiled(self) -> Aaa:
        """The model's record."""
        http, radius = self.http, self.radius
        return Aaa(
            HttpAaa(http.url, http.token_file, http.ca_file) if http else None,
            RadiusAaa(radius.host, radius.secret_file, radius.port, radius.nas_identifier)
            if radius
            else None,
        )
