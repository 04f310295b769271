"""Code that all client commands share: it finds the controller, and sends requests to it.

The controller writes its URL (`rest`) and its bearer token (`token`) into the state directory. Options name other
places. Proxies of the environment are not used, so that the token stays on this machine.
"""

import argparse
import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from steering.cli import state_dirs
from steering.cli.progress import ProgressLine
from steering.cli.wording import printable

TIMEOUT = 10.0  # seconds without a byte, after which a request is given up
# The same for a change of the policy, on which all controllers of a cell agree. Each controller waits for the others for
# up to 60 s (--cluster-patience) and three times as long as its own check took. An earlier policy, and other orders that
# are carried out one after the other, may have to be waited for first.
AGREED_TIMEOUT = 150.0
STREAM_TIMEOUT = 60.0  # the same for events; the controller sends a comment every 15 s
MAX_LINE = 1 << 20
JSON_BODY = {"Content-Type": "application/json"}
SUCCESS = (http.HTTPStatus.OK, http.HTTPStatus.CREATED, http.HTTPStatus.ACCEPTED)
MAX_ANSWER = 64 << 20
STATE_DIR_HELP = (
    "the controller's state directory (default: as steering run's; for root also steering.service's)"
)
WIDE = "wide"  # asks for tables with all columns; others fit a terminal of 80 columns

_TOKEN = re.compile(r"[!-~]+", re.ASCII)

Json = dict[str, Any]


class Unavailable(Exception):
    """The controller cannot be asked, or cannot answer. The message is one line that says what to do."""


class NotFound(Unavailable):
    """The controller answers that the resource does not exist (404)."""


class NotAllowed(Unavailable):
    """The token is refused (401), or may not do this (403)."""


class BadInput(Exception):
    """The command got an argument or a file that cannot be used. The message is one line."""


class Rejected(BadInput):
    """The controller rejects the body (422). `problem`: its whole answer, which lists the errors (RFC 9457)."""

    def __init__(self, detail: str, problem: Json) -> None:
        super().__init__(detail)
        self.problem = problem


class Outdated(Unavailable):
    """The resource has changed since it was read, so it is not replaced (412)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every client command has."""
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument(
        "-o", dest="form", choices=(WIDE,), metavar="FORM", help="wide: tables with all columns"
    )
    where = parser.add_argument_group("where the controller is")
    where.add_argument("--state-dir", metavar="DIR", help=STATE_DIR_HELP)
    where.add_argument(
        "--url", help="its REST address (default: STEERING_URL, else the file 'rest' of the state directory)"
    )
    where.add_argument(
        "--token-file",
        metavar="FILE",
        help="its bearer token (default: STEERING_TOKEN_FILE, else the file 'token' of the state directory)",
    )
    where.add_argument(
        "--ca-file",
        metavar="FILE",
        help="the CA of its certificate (PEM; default: STEERING_CA_FILE, else the system's)",
    )
    where.add_argument(
        "--client-cert", metavar="FILE", help="our own certificate and key (PEM), where it wants one"
    )


def ask(args: argparse.Namespace, question: Callable[["ControllerClient"], None]) -> int:
    """Find the controller by `args` and call `question` with it. Returns the exit status. A failure prints one line."""
    try:
        controller = find(args)
        controller.progress = ProgressLine(f"waiting for {controller.url}")
        question(controller)
    except BadInput as error:
        print(f"steering: {error}", file=sys.stderr)
        return 2
    except Unavailable as error:
        print(f"steering: {error}", file=sys.stderr)
        return 1
    except (KeyError, TypeError) as error:
        # A controller of another version: fields that this program reads are missing, or have another type.
        print(
            f"steering: the controller answers in a form unknown here ({error!r}): versions differ",
            file=sys.stderr,
        )
        return 1
    return 0


def find(args: argparse.Namespace, patience: float = TIMEOUT) -> "ControllerClient":
    """The controller that the options, the environment or the state directory name. `patience`: seconds without a
    byte, after which a request is given up.

    Raises Unavailable where a running controller's files are missing, BadInput for a URL that cannot be used.
    """
    state_dir = Path(args.state_dir) if args.state_dir else state_dirs.default_state_dir()
    # Options have precedence over the environment. With --state-dir, the environment's variables for files in the state
    # directory are ignored.
    said = os.environ if not args.state_dir else {}
    url = (
        args.url
        or said.get("STEERING_URL")
        or _read(
            state_dir / state_dirs.REST_FILE,
            "no controller runs here: start one with 'steering run', or give --state-dir or --url",
        )
    )
    token_file = Path(args.token_file or said.get("STEERING_TOKEN_FILE") or state_dir / state_dirs.TOKEN_FILE)
    token = _read(token_file, "the controller's bearer token is needed: give --state-dir or --token-file")
    if not _TOKEN.fullmatch(token):
        raise Unavailable(f"{token_file} holds no bearer token: give the right one with --token-file")
    ca_file = args.ca_file or os.environ.get("STEERING_CA_FILE") or None
    trust = _trust(ca_file, args.client_cert) if url.startswith("https:") else None
    return ControllerClient(url, token, token_file, trust, patience)


def _trust(ca_file: str | None, client_cert: str | None) -> ssl.SSLContext:
    """The TLS context: the CA to trust, and the client's certificate. Raises BadInput."""
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if client_cert is not None:
            context.load_cert_chain(client_cert)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "reason", None) or error.strerror or str(error)
        raise BadInput(f"--ca-file, --client-cert: cannot be used: {why}") from None
    return context


def _read(path: Path, missing: str) -> str:
    """The text of a small file. `missing`: what the error says where the file does not exist."""
    try:
        return state_dirs.text_of(path)
    except state_dirs.IrregularFileError:
        raise Unavailable(f"{path} is no regular file; {missing}") from None
    except PermissionError:
        raise Unavailable(
            f"{path} may not be read: run this as the controller's user, for example root"
        ) from None
    except FileNotFoundError:
        raise Unavailable(f"{path} does not exist; {missing}") from None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror}); {missing}") from None


def _checked(url: str) -> SplitResult:
    """The parts of a URL. Raises BadInput for a URL by which the token would leave this machine unencrypted."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")  # as the resolver does: a name such as a..b has no form there
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"{url!r} is no URL of a controller; one looks like http://127.0.0.1:8080")
    if parts.scheme == "http" and not _is_of_this_machine(parts.hostname or ""):
        raise BadInput(f"{url} would send the token in clear; use https, or a tunnel to a loopback address")
    return parts


def _is_of_this_machine(host: str) -> bool:
    """Whether data for `host` stay on this machine: `host` is loopback, or an address of this machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, 0))  # only an own address can be bound
        except OSError:
            return False
    return not address.is_unspecified


class ControllerAnswer(NamedTuple):
    """A JSON object and its entity tag, if it has one."""

    body: Json
    etag: str | None


class ControllerClient:
    """A client of a controller's northbound. It opens a connection for each request."""

    def __init__(
        self,
        url: str,
        token: str,
        token_file: Path,
        trust: ssl.SSLContext | None = None,
        patience: float = TIMEOUT,
    ) -> None:
        self._parts = _checked(url)
        self._trust = trust
        self._patience = patience
        self.url = url.rstrip("/")
        self._token = token
        self._token_file = token_file
        self.progress: ProgressLine | None = None  # shown to a person who waits for an answer

    def get(self, *path: str, **query: object) -> Json:
        """The JSON object at /v1/path... This quotes the parts of the path. Query values that are None are left out.

        Raises NotFound, BadInput (with what the controller says is wrong) and Unavailable.
        """
        return self.request("GET", path, query=query).body

    def request(
        self,
        method: str,
        path: Sequence[str],
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        verbatim: Collection[str] = (),
        patience: float | None = None,
    ) -> ControllerAnswer:
        """Like `get`, with any method, a body and headers. Control characters are kept in fields named in `verbatim`.
        `patience`: seconds without a byte for this request, where it may take longer than others; the client's own value
        counts where that is larger.

        Also raises Rejected (422) and Outdated (412).
        """
        with (
            self.progress or nullcontext(),
            self._sent(
                method, path, query or {}, headers or {}, body, max(self._patience, patience or 0.0)
            ) as response,
        ):
            data = response.read(MAX_ANSWER + 1)
        if len(data) > MAX_ANSWER:
            raise Unavailable(f"the answer of {self.url} is over {MAX_ANSWER >> 20} MiB")
        answer = self._object(response.status, data, verbatim)
        if response.status in SUCCESS:
            return ControllerAnswer(answer, response.getheader("ETag"))
        raise self._refused(response.status, answer)

    def lines(
        self,
        *path: str,
        headers: Mapping[str, str] | None = None,
        opened: Callable[[socket.socket], None] | None = None,
        **query: object,
    ) -> Iterator[str]:
        """The lines of an event stream as they arrive, until the controller ends the stream. `opened` is called with the
        socket, for another thread that may want to end the stream.

        Raises as `get` does.
        """
        wanted = {"Accept": "text/event-stream", **(headers or {})}
        with self._sent("GET", path, query, wanted, None, STREAM_TIMEOUT, opened) as response:
            if response.status != http.HTTPStatus.OK:
                answer = self._object(response.status, response.read(MAX_ANSWER), ())
                raise self._refused(response.status, answer)
            while line := response.readline(MAX_LINE):
                yield str(printable(line.decode("utf-8", "replace").rstrip("\r\n")))

    def _object(self, status: int, data: bytes, verbatim: Collection[str]) -> Json:
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Unavailable(f"what answers at {self.url} is no steering controller (status {status})")
        return {
            str(printable(name)): value if name in verbatim else printable(value)
            for name, value in answer.items()
        }

    def _target(self, path: Sequence[str], query: Mapping[str, object]) -> str:
        steps = (quote(part, safe="", errors="surrogateescape") for part in path)
        target = "/".join([self._parts.path.rstrip("/"), "v1", *steps])
        given = {name: value for name, value in query.items() if value is not None}
        asked = urlencode(given, errors="surrogateescape")
        return f"{target}?{asked}" if asked else target

    @contextmanager
    def _sent(
        self,
        method: str,
        path: Sequence[str],
        query: Mapping[str, object],
        more: Mapping[str, str],
        body: bytes | None,
        patience: float,
        opened: Callable[[socket.socket], None] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request. Within the `with` block the answer can be read. Errors of the connection become Unavailable.
        `patience`: seconds without a byte of the answer, once there is a connection."""
        wait = min(patience, self._patience)
        host = self._parts.hostname or ""
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                host, self._parts.port, timeout=wait, context=self._trust
            )
        else:
            connection = http.client.HTTPConnection(host, self._parts.port, timeout=wait)
        try:
            headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", **more}
            connection.connect()
            wait = patience
            connection.sock.settimeout(wait)
            connection.request(method, self._target(path, query), body=body, headers=headers)
            if opened is not None:
                opened(connection.sock)  # before the answer is read: http.client may drop its reference then
            yield connection.getresponse()
        except TimeoutError:
            raise Unavailable(f"the controller at {self.url} does not answer within {wait:.0f} s") from None
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason or str(error)
            raise Unavailable(f"no TLS with {self.url}: {why} (--ca-file, --client-cert)") from None
        except OSError as error:
            why = error.strerror or str(error)
            raise Unavailable(f"no controller answers at {self.url} ({why}): is 'steering run' up?") from None
        except http.client.HTTPException as error:
            kind_of = type(error).__name__
            raise Unavailable(f"what answers at {self.url} speaks no HTTP ({kind_of})") from None
        finally:
            connection.close()

    def _refused(self, status: int, problem: Json) -> Exception:
        detail = str(problem.get("detail") or problem.get("title") or "no reason given")
        if status == http.HTTPStatus.UNAUTHORIZED:
            return NotAllowed(
                f"the controller at {self.url} refuses the token of {self._token_file}, as {detail}: "
                "give its own with --state-dir or --token-file"
            )
        if status == http.HTTPStatus.FORBIDDEN:
            return NotAllowed(f"the controller at {self.url} answers {status}: {detail}")
        if status == http.HTTPStatus.NOT_FOUND:
            return NotFound(detail)
        if status == http.HTTPStatus.UNPROCESSABLE_ENTITY:
            return Rejected(detail, problem)
        if status == http.HTTPStatus.PRECONDITION_FAILED:
            return Outdated(
                "somebody else has changed it meanwhile, so nothing was changed: look at it again, then try again"
            )
        if status in (http.HTTPStatus.BAD_REQUEST, http.HTTPStatus.REQUEST_URI_TOO_LONG):
            return BadInput(detail)
        return Unavailable(f"the controller at {self.url} answers {status}: {detail}")


def first_error(rejected: Rejected) -> str:
    """The first error of a rejected body, on one line."""
    for error in rejected.problem.get("errors") or ():
        return f"{error['path']}: {error['message']}"
    return str(rejected)


def print_json(body: Any) -> None:
    """Print JSON for programs, in the form of all client commands."""
    print(json.dumps(body, indent=2))
