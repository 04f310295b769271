"""The controller put together: files, engine, discovery, northbound; everything but os-ken's part."""

import secrets
import sys
from time import monotonic

from steering import __version__
from steering.core.counters import Counters
from steering.core.discovery import Discovery
from steering.core.engine import Engine
from steering.core.view import EngineView
from steering.model.network import Site, waypoints
from steering.model.policy import Policy
from steering.northbound.credentials import CredentialError, lldp_key
from steering.policy import load_policy, load_site
from steering.runtime.rest import Rest
from steering.runtime.settings import Settings, SettingsError


class StartError(Exception):
    """The controller cannot start. Everything there is to say is on stderr already."""


class Controller:
    """One engine and what stands around it. `now` is its clock: seconds, monotonic."""

    def __init__(self, settings: Settings, site: Site, policy: Policy) -> None:
        self.settings = settings
        self.counters = Counters()
        # 16 bits tell this run's rules from those of earlier ones.
        self.engine = Engine(
            site,
            policy,
            epoch=secrets.randbits(16),
            counters=self.counters,
            disabled=settings.disabled,
        )
        self.discovery = _discovery(settings, site)
        self.now = monotonic
        view = EngineView(self.engine, self.now, __version__)
        self.rest = Rest(settings, view, self.counters, self.now)


def _discovery(settings: Settings, site: Site) -> Discovery | None:
    if not site.discover:
        return None
    attachments = [waypoint.port for waypoint in waypoints(site)]
    return Discovery(lldp_key(settings.state_dir), secrets.randbits(64), attachments)


def assemble(settings: Settings) -> Controller:
    """The controller that `settings` describe. Raises StartError after printing every finding."""
    site, findings = load_site(settings.site)
    policy: Policy | None = Policy()
    if settings.policy is not None:
        policy, more = load_policy(settings.policy)
        findings = findings + more
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings or site is None or policy is None:
        raise StartError
    try:
        return Controller(settings, site, policy)
    except (CredentialError, SettingsError) as error:
        print(f"steering: {error}", file=sys.stderr)
        raise StartError from None
