"""`gtr-beir plan`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gtr_beir.cli.closing import fitted
from gtr_beir.cli.experiments import experiment_of, systems_and_datasets
from gtr_beir.cli.options import Commands, at_least_one, folders, system_flags
from gtr_beir.errors import ClusterError, UsageError
from gtr_beir.systems.options import PRECISIONS, EncoderOptions, Options

if TYPE_CHECKING:
    from gtr_beir.experiment.description import SystemChoice
    from gtr_beir.planning import WholePlan


def add_plan(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "plan",
        help="estimate the time, memory and disk of a run before it starts",
        description="Estimate the tokens, arithmetic, memory and disk of a run, and its time at "
        "a rate that is measured now on this machine; of several systems, a line for each. Nothing "
        "is fetched or written; datasets that are not here are estimated from the registry.",
    )
    systems_and_datasets(parser)
    folders(parser)
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="the time on so many other machines or GPUs, each as fast as this one, and what goes "
        "through the driver (docs/cluster.md)",
    )
    parser.add_argument(
        "--on",
        metavar="CLUSTER",
        help="as --workers with as many as this Ray cluster has room for now",
    )
    system_flags(parser, shared={"offline"})
    parser.set_defaults(act=_plan, offline=True)


def _plan(options: argparse.Namespace) -> None:
    from gtr_beir.planning import plan_run

    experiment = experiment_of(options).offline()
    systems = experiment.systems
    at_least_one(options, ("workers",))
    workers = options.workers
    if options.on is not None:
        if workers is not None:
            raise UsageError("--on and --workers both say how many work; give one of them")
        workers = _room(options.on, systems[0].options)
    planned = [isinstance(choice.options, EncoderOptions) for choice in systems]
    # Where there is none, the first one's refusal says what a plan is for.
    planned[0] = planned[0] or not any(planned)
    plans = [
        plan_run(
            choice.name,
            experiment.dataset_names,
            choice.options,
            datasets_dir=options.datasets_dir or experiment.datasets_dir,
            depth=choice.depth,
            workers=workers,
        )
        if wanted
        else None
        for choice, wanted in zip(systems, planned, strict=True)
    ]
    if len(plans) == 1 and plans[0] is not None:
        found = f"the room at --on {options.on} now" if options.on else ""
        _print_datasets(plans[0], found)
    else:
        _print_systems(systems, plans)


def _room(on: str, options: Options) -> int:
    """Workers that a cluster has room for, of the kind of device that is asked for here."""
    from gtr_beir.encoders.devices import resolve_device
    from gtr_beir.work.executors.cluster.executor import OnRay

    with OnRay(on) as cluster:
        device = options.device if isinstance(options, EncoderOptions) else "cpu"
        gpu = resolve_device(device) != "cpu"
        room = cluster.room(gpu=gpu)
        if not room:
            what = "a GPU" if gpu else "cores for a worker"
            raise ClusterError(f"no node of the cluster at --on {on} has {what}")
        return room


def _print_systems(systems: Sequence[SystemChoice], plans: Sequence[WholePlan | None]) -> None:
    """A line for each system, then all of them, which run one after the other."""
    from tabulate import tabulate

    from gtr_beir.progress import duration

    headers = ("system", "dtype", "device", "M tokens", "memory", "disk", "time")
    rows: list[tuple[str, ...]] = []
    notes: dict[str, str] = {}
    for choice, plan in zip(systems, plans, strict=True):
        name = fitted(choice.label or choice.name)
        if plan is None:
            notes["-"] = "needs no GPU and little time (docs/benchmarks.md has its rates)"
            rows.append((name, *["-"] * (len(headers) - 1)))
            continue
        if not all(entry.counted for entry in plan.datasets):
            name += " *"
            notes["*"] = ESTIMATED
        if choice.rerank is not None:
            name += " +"
            notes["+"] = "the whole corpus; to rerank another run takes less"
        tokens = sum(entry.tokens for entry in plan.datasets) / 1e6
        found = (size(plan.memory), size(plan.disk), duration(plan.seconds))
        rows.append((name, plan.encoder.dtype, plan.encoder.device, f"{tokens:,.2f}", *found))
    made = [plan for plan in plans if plan is not None]
    most, disk = max(plan.memory for plan in made), sum(plan.disk for plan in made)
    seconds = sum(plan.seconds for plan in made)
    rows.append(("in all", "", "", "", size(most), size(disk), duration(seconds)))
    align = ("left", "left", "left", *["right"] * 4)
    print(tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, colalign=align))
    print("\nOne system after the other: memory is the most that one of them needs, disk is")
    print("besides the datasets. `gtr-beir plan` of one system shows each dataset.")
    for mark, note in notes.items():
        print(f"{mark} {note}")


ESTIMATED = "tokens estimated: the dataset or the tokenizer is not here"


def _print_datasets(plan: WholePlan, found: str) -> None:
    """A line for each dataset, then the totals of one system. found: where workers were."""
    from tabulate import tabulate

    from gtr_beir.progress import duration

    rows = [
        (
            entry.name + ("" if entry.counted else " *"),
            f"{entry.documents:,}",
            f"{entry.tokens / 1e6:,.2f} M",
            "" if entry.operations is None else f"{entry.operations / 1e12:,.3g}",
            duration(entry.seconds * entry.share(plan.devices)),
            size(entry.disk),
        )
        for entry in plan.datasets
    ]
    headers = ("dataset", "documents", "tokens", "TFLOP", "time", "disk")
    align = ("left", *["right"] * (len(headers) - 1))
    print(tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, colalign=align))
    cost = plan.encoder
    rate = (
        f"{cost.operations_a_second / 1e9:,.0f} GFLOP/s"
        if cost.shape
        else f"{cost.tokens_a_second:,.0f} tokens/s"
    )
    print(f"\nrate:   {rate} in {cost.dtype} on {cost.device},")
    print(f"        {cost.how}")
    if cost.shape:
        rates = [f"{rate / 1e9:,.0f} in {name}" for name, rate in cost.beside.items()]
        lacking = [name for name in PRECISIONS if name not in (cost.dtype, *cost.beside)]
        without = f"{' and '.join(lacking)} would run in fp32 here" if lacking else ""
        print(f"other:  {'; '.join(filter(None, (', '.join(rates), without)))}")
    if plan.remote or plan.devices > 1:
        word = "worker" if plan.remote else "device"
        each = "as fast as this one" if plan.devices == 1 else "each as fast as this one"
        shared = f"{plan.devices:,} {word}{'' if plan.devices == 1 else 's'}, {each}"
        print(f"shared: {shared}{f' ({found})' if found else ''}")
    search = sum(entry.search_seconds * entry.share(plan.devices) for entry in plan.datasets)
    print(f"time:   {duration(plan.seconds)} in all; the search in it {duration(search)}")
    if plan.remote:
        out, back = plan.traffic
        took = duration(plan.driver_seconds)
        print(f"driver: {size(out)} of texts out, {size(back)} back, which takes it {took}")
        print(f"        (docs/cluster.md); it can feed {max(1, plan.fed):,.0f} workers, and the")
        print(f"        largest dataset has blocks for {plan.most_blocks:,}")
    print(f"memory: {size(plan.memory)} at most, of which weights {size(cost.weights_bytes)}")
    print(f"disk:   {size(plan.disk)} besides the datasets")
    if not all(entry.counted for entry in plan.datasets):
        print(f"* {ESTIMATED}")


def size(count: float) -> str:
    """`812 MB` (2^20 bytes), `3.4 GB` (2^30)"""
    if count < 1000 << 20:
        return f"{count / 2**20:,.0f} MB"
    return f"{count / 2**30:,.1f} GB"
