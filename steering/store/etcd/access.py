"""The addresses and credentials of etcd, and the reasons why a request to etcd fails."""

import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from steering.model.cluster import ENDPOINT_TIMEOUT

DEFAULT_PORT = 2379
MOST_ENDPOINTS = 16


class EtcdFault(StrEnum):
    """Why a request to etcd failed."""

    UNREACHABLE = "unreachable"  # no endpoint answered in time, or etcd has no majority
    REFUSED = "refused"  # etcd refused it: a wrong password, a missing permission, a malformed request
    TOO_LARGE = "too-large"  # more bytes than a request or an answer may have
    NO_SPACE = "no-space"  # etcd's quota is used up
    COMPACTED = "compacted"  # etcd no longer has that revision
    MALFORMED = "malformed"  # the answer is not one that etcd gives


class EtcdError(Exception):
    """A request that failed; the message is one line. `unsure`: etcd may have carried the request out all the same."""

    def __init__(self, fault: EtcdFault, message: str, unsure: bool = False) -> None:
        super().__init__(message)
        self.fault = fault
        self.unsure = unsure


@dataclass(frozen=True, slots=True)
class EtcdEndpoint:
    """The client address of one etcd member. `secured`: whether it speaks TLS. `path`: of a socket of the file system, in place of
    host and port."""

    host: str
    port: int
    secured: bool = False
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secured else 'http'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class EtcdAccess:
    """How to reach etcd. `ca`, `cert`, `key`: PEM files for TLS; `cert` needs `key`. `timeout`: seconds for each endpoint."""

    endpoints: tuple[EtcdEndpoint, ...]
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    user: str | None = None
    password: str = field(default="", repr=False)
    timeout: float = ENDPOINT_TIMEOUT

    def context(self) -> ssl.SSLContext | None:
        """The TLS context; None where no endpoint has TLS. Raises OSError for files that cannot be used."""
        if not any(endpoint.secured for endpoint in self.endpoints):
            return None
        context = ssl.create_default_context(cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None:
            context.load_cert_chain(self.cert, self.key)
        return context


def parse_endpoints(text: str) -> tuple[EtcdEndpoint, ...]:
    """Comma-separated URLs such as `http://10.0.0.1:2379,https://etcd2`, or `unix:/PATH`. Raises ValueError with one line."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not 0 < len(words) <= MOST_ENDPOINTS:
        raise ValueError(f"'{text}' is not a list of 1 to {MOST_ENDPOINTS} URLs of etcd")
    return tuple(map(_endpoint, words))


def _endpoint(word: str) -> EtcdEndpoint:
    if word.startswith("unix:/"):
        return EtcdEndpoint("", 0, path=word.removeprefix("unix:"))
    advice = f"'{word}' is not a URL of etcd, for example http://127.0.0.1:{DEFAULT_PORT}"
    try:
        url = urlsplit(word)
        port = url.port or DEFAULT_PORT
    except ValueError:
        raise ValueError(advice) from None
    if url.scheme not in ("http", "https") or not url.hostname or url.path not in ("", "/") or url.query:
        raise ValueError(advice)
    if url.username is not None:
        raise ValueError("a password of etcd belongs into a file, not into a URL")
    return EtcdEndpoint(url.hostname, port, url.scheme == "https")
