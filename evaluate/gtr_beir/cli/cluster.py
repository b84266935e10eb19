"""The flags of a Ray cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gtr_beir.errors import UsageError
from gtr_beir.systems.options import flag

if TYPE_CHECKING:
    from gtr_beir.work.executors.cluster.executor import OnRay

_CHOICES = ("gpus_per_worker", "cpus_per_worker", "send_checkpoint", "mixed_devices")


def cluster_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "many machines", "a Ray cluster does the blocks of encoders (docs/cluster.md)"
    )
    group.add_argument(
        "--on",
        metavar="CLUSTER",
        help="ray (Ray on this machine), auto (the cluster that this machine is part of), "
        "HOST:PORT or ray://HOST:PORT",
    )
    group.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="N",
        help="GPUs of a worker (default: 1 if this machine computes on a GPU, else 0)",
    )
    group.add_argument(
        "--cpus-per-worker",
        type=float,
        metavar="N",
        help="cores of a worker (default: a node's cores, shared by its workers)",
    )
    group.add_argument(
        "--send-checkpoint",
        action="store_true",
        help="send the checkpoint's folder to nodes that lack it",
    )
    group.add_argument(
        "--mixed-devices",
        action="store_true",
        help="let devices of several kinds work, whose last bits differ; the record says which "
        "block was done on which",
    )


def cluster_of(options: argparse.Namespace) -> OnRay | None:
    """The cluster that is asked for; UsageError for flags that mean nothing without one."""
    chosen = {name: getattr(options, name) for name in _CHOICES}
    if options.on is None:
        if given := [flag(name) for name, value in chosen.items() if value]:
            raise UsageError(f"{', '.join(given)} is for a cluster; name one with --on")
        return None
    if options.shard is not None:
        raise UsageError("--on and --shard are two ways to share work; give one of them")
    from gtr_beir.work.executors.cluster.executor import OnRay

    return OnRay(options.on, **chosen)
