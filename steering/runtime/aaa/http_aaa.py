"""Asks an HTTP server whether a source may use the network: POST of one JSON object, one JSON object back.

-> {"subscriber": pseudonym or null, "address": "10.1.0.2", "access_network": "lte"}
<- {"allow": true, "class": "gold", "ttl": 300}          the last two may be left out
<- {"allow": null}                                        no opinion
"""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from steering.core.inputs import Authorised
from steering.core.outputs import Authorise
from steering.model.aaa import HttpAaa
from steering.model.authorisation import Verdict
from steering.model.unique_keys import unique_keys
from steering.store.private_file import read_private

MOST = 4_096  # most bytes of an answer
LONGEST_CLASS = 63
_VERDICTS = {True: Verdict.ALLOW, False: Verdict.DENY, None: Verdict.NO_OPINION}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: only the site file decides which server is asked."""

    def redirect_request(self, *_: Any) -> None:
        return None


def http_authorizer(aaa: HttpAaa) -> Callable[[Authorise], Authorised]:
    """A function that asks the server. Raises OSError and StateError for files that cannot be used."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if aaa.token_file is not None:
        headers["Authorization"] = f"Bearer {read_private(Path(aaa.token_file))}"
    context = ssl.create_default_context(cafile=aaa.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _NoRedirect()
    )

    def ask(question: Authorise) -> Authorised:
        body = {
            "subscriber": question.subscriber or None,
            "address": str(ip_address(question.source)),
            "access_network": question.access,
        }
        request = urllib.request.Request(aaa.url, json.dumps(body).encode(), headers, method="POST")
        try:
            with opener.open(request, timeout=question.seconds) as answer:
                data = answer.read(MOST + 1)
        except (OSError, HTTPException, urllib.error.URLError):
            return Authorised(question.request, Verdict.ERROR)
        return read_answer(question.request, data)

    return ask


def read_answer(request: int, data: bytes) -> Authorised:
    """The meaning of an answer. An answer that is not exactly one of the forms above means Verdict.ERROR."""
    failed = Authorised(request, Verdict.ERROR)
    if len(data) > MOST:
        return failed
    try:
        told = json.loads(data, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError):
        return failed
    if not isinstance(told, dict) or "allow" not in told or told["allow"] not in (True, False, None):
        return failed
    allow, klass, ttl = told["allow"], told.get("class") or "", told.get("ttl")
    if allow is not None and not isinstance(allow, bool):
        return failed  # JSON's 1 and 0 compare equal to True and False, but are no booleans
    if not isinstance(klass, str) or len(klass) > LONGEST_CLASS:
        return failed
    if ttl is not None and (isinstance(ttl, bool) or not isinstance(ttl, int | float) or not ttl > 0):
        return failed
    return Authorised(request, _VERDICTS[allow], klass, None if ttl is None else float(ttl))
