"""What a controller needs of etcd before it is a member of its cell: the way there, and the cell's secrets."""

from pathlib import Path

from steering.runtime.settings import ClusterSettings, SettingsError
from steering.store.credentials import LLDP_KEY_FILE, PSEUDONYM_KEY_FILE, lldp_key, pseudonym_key
from steering.store.etcd.access import EtcdAccess, EtcdError, parse_endpoints
from steering.store.etcd.etcd_store import EtcdStore
from steering.store.etcd.gateway import EtcdGateway
from steering.store.interface import StateError
from steering.store.private_file import read_private
from steering.store.state_directory import StateDirectory

_SECRETS = {LLDP_KEY_FILE: lldp_key, PSEUDONYM_KEY_FILE: pseudonym_key}


def etcd_gateway(wanted: ClusterSettings) -> EtcdGateway:
    """The way to the cell's etcd. Raises SettingsError."""
    try:
        endpoints = parse_endpoints(wanted.etcd)
        password = read_private(Path(wanted.password_file)) if wanted.password_file else ""
        return EtcdGateway(EtcdAccess(endpoints, wanted.ca, wanted.cert, wanted.key, wanted.user, password))
    except (ValueError, StateError, EtcdError) as error:
        raise SettingsError(f"--cluster: {error}") from None
    except FileNotFoundError:
        raise SettingsError(f"--cluster-password-file: there is no {wanted.password_file}") from None


def share_secrets(store: EtcdStore, state_dir: Path) -> None:
    """Give all controllers of a cell the same keys of discovery and of pseudonyms: those of the first controller. Raises
    StateError."""
    directory = StateDirectory(state_dir)
    for name, key_of in _SECRETS.items():
        own = key_of(state_dir).hex()
        store.create(name, own)
        shared = store.read(name)
        if shared is not None and shared != own:
            directory.write(name, shared)
            key_of(state_dir)  # raises StateError where the file holds no key
