"""Which options go with several workers, and what of them is each worker's own."""

import argparse
from pathlib import Path

import pytest

from steering.cli.commands import run
from steering.runtime.settings import ListenAddress, Settings, SettingsError, from_arguments
from steering.runtime.workers.parent import ORDERS, outlives
from steering.runtime.workers.worker_settings import CELL, WORKER, place_of, worker_of

TLS = ("--switch-cert", "c", "--switch-key", "k", "--switch-ca", "a")


def arguments(*words: str) -> Settings:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    return from_arguments(parser.parse_args(["--site", "s.yaml", *words]))


def test_one_worker_is_a_controller_as_ever() -> None:
    assert arguments("--workers", "1", *TLS) == arguments(*TLS)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--workers", "0"), "from 1 to 16"),
        (("--workers", "-1"), "from 1 to 16"),
        (("--workers", "17"), "from 1 to 16"),
        (("--workers", "2", "--cluster", "http://127.0.0.1:2379"), "leave --cluster out"),
        (("--workers", "2", "--cluster-name", "a"), "go with --cluster"),
        (("--workers", "2", *TLS), "by TLS cannot be handed"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(SettingsError, match=why) as refused:
        arguments(*words)
    assert "\n" not in str(refused.value)


def test_the_first_worker_has_what_the_command_says_and_the_others_their_own() -> None:
    told = arguments(
        "--workers", "2", "--rest", "0.0.0.0:443", "--rest-cert", "c", "--rest-key", "k", "--state-dir", "/d"
    )
    first, second = (worker_of(told, {WORKER: place_of(number, Path("/s"))}) for number in (1, 2))
    assert (first.rest, first.rest_tls, first.page, first.state_dir) == (
        told.rest, told.rest_tls, True, Path("/d"),
    )  # fmt: skip
    assert (second.rest, second.rest_tls, second.page, second.state_dir) == (
        ListenAddress("127.0.0.1", 0), None, False, Path("/d/workers/2"),
    )  # fmt: skip
    assert first.cluster is not None and second.cluster is not None
    assert first.cluster.etcd == second.cluster.etcd == "unix:/s/store"
    assert first.cluster.name != second.cluster.name and first.cluster.shares == second.cluster.shares == 2
    assert first.listen == second.listen == told.listen


@pytest.mark.parametrize("place", ["", "1", "x:/s", "0:/s", "3:/s", "-1:/s"])
def test_a_place_that_no_parent_gives_is_refused(place: str) -> None:
    with pytest.raises(SettingsError, match="unset it"):
        worker_of(arguments("--workers", "2"), {WORKER: place})


def test_orders_outlive_the_parent_and_members_shares_and_policies_do_not() -> None:
    cell = f"/steering/{CELL}"
    assert all(outlives(f"{cell}/kept/kept/{name}") for name in ORDERS)
    assert outlives(f"{cell}/kept/chunks/acl.json/1-a/00000") and outlives(f"{cell}/secret/kept/lldp.key")
    assert outlives(f"{cell}/cluster/generation")
    gone = ("cluster/own/s0000", "cluster/shares", "cluster/ctl/w1", "kept/policy/active", "kept/kept/policies/1.json",
            "kept/chunks/policies/1.json/1-a/00000")  # fmt: skip
    assert not any(outlives(f"{cell}/{key}") for key in gone)
