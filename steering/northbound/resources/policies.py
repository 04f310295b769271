"""/v1/policy: the policy in force, its replacement, earlier versions, and the return to one of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from threading import Lock
from typing import Any, cast

from steering.model.control import Control, PolicyDisagreement, PolicyOutcome
from steering.northbound.http.body import unprocessable
from steering.northbound.http.conditional import require_match, tag_of
from steering.northbound.http.exchange import Call, RestReply
from steering.northbound.http.problems import Problem, conflict, not_found, shown
from steering.northbound.schema.bodies import Rollback

Json = dict[str, Any]

_VERSION = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

FINDING = ("path", "line", "column", "code", "message", "suggestion")


class Policies:
    """`lock` is held by every request that changes the policy or the site. Checking a policy takes a while, in which other
    requests are served; without the lock two changes would pass with one If-Match. A reload of the policy file does not
    take this lock, so If-Match is compared once more after the check."""

    def __init__(self, control: Control, lock: Lock) -> None:
        self._control = control
        self._lock = lock

    def current(self, _: Call) -> RestReply:
        body = self._current()
        return RestReply(body, tag=tag_of(body))

    def put(self, call: Call) -> RestReply:
        dry_run = call.query["dry_run"]
        with self._lock:
            if not dry_run or call.if_match is not None:
                self._require_match(call)
            with _agreed():
                outcome = self._control.replace_policy(
                    cast(str, call.body), call.who.id, dry_run, partial(self._require_match, call)
                )
        return self._outcome(outcome, dry_run)

    def versions(self, _: Call) -> RestReply:
        return RestReply({"versions": self._control.policy_versions()})

    def version(self, call: Call) -> RestReply:
        wanted = call.path["id"]
        number = int(wanted) if _VERSION.fullmatch(wanted) else 0
        found = self._control.policy_version(number)
        if found is None:
            raise not_found(f"no version {shown(wanted)} of the policy is kept")
        return RestReply(found._asdict())

    def rollback(self, call: Call) -> RestReply:
        version = cast(Rollback, call.body).version
        with self._lock:
            self._require_match(call)
            with _agreed():
                outcome = self._control.rollback_policy(
                    version, call.who.id, partial(self._require_match, call)
                )
        if outcome is None:
            raise not_found(f"no version {version} of the policy is kept")
        return self._outcome(outcome, False)

    def _require_match(self, call: Call) -> None:
        require_match(call.if_match, tag_of(self._current()))

    def _current(self) -> Json:
        return self._control.policy()._asdict()

    def _outcome(self, outcome: PolicyOutcome, dry_run: bool) -> RestReply:
        findings = [{name: one.get(name) for name in FINDING} for one in outcome.findings]
        if not outcome.accepted:
            raise unprocessable(findings, "the policy has findings; the one in force stays")
        body = {"version": outcome.version, "dry_run": dry_run, "findings": findings}
        return RestReply(body, tag=None if dry_run else tag_of(self._current()))


@contextmanager
def _agreed() -> Iterator[None]:
    """Turns a PolicyDisagreement into Problem 409 where other controllers refuse a policy, with their reasons, or 503 where
    not all of them agree in time."""
    try:
        yield
    except PolicyDisagreement as why:
        if why.refused:
            raise conflict(str(why)) from None
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(why), (("Retry-After", "1"),)) from None
