"""`gtr-beir plan`."""

from __future__ import annotations

import argparse

from gtr_beir.cli.options import (
    Commands,
    at_least_one,
    dataset_names,
    folders,
    system_and_datasets,
    system_flags,
    system_options,
)
from gtr_beir.identity import USUAL_DEPTH


def add_plan(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "plan",
        help="estimate the time, memory and disk of a run before it starts",
        description="Estimate the tokens, arithmetic, memory and disk of a run, and its time at "
        "a rate that is measured now on this machine. Nothing is fetched or written; "
        "datasets that are not here are estimated from the registry.",
    )
    system_and_datasets(parser)
    parser.add_argument(
        "--depth",
        type=int,
        default=USUAL_DEPTH,
        help="documents kept for each query (default: 1000)",
    )
    folders(parser)
    system_flags(parser, shared={"offline"})
    parser.set_defaults(act=_plan, offline=True)


def _plan(options: argparse.Namespace) -> None:
    from tabulate import tabulate

    from gtr_beir.planning import plan_run
    from gtr_beir.progress import duration

    names = dataset_names(options)
    at_least_one(options, ("depth",))
    plan = plan_run(
        options.system,
        names,
        system_options(options),
        datasets_dir=options.datasets_dir,
        depth=options.depth,
    )
    rows = [
        (
            entry.name + ("" if entry.counted else " *"),
            f"{entry.documents:,}",
            f"{entry.queries:,}",
            f"{entry.tokens / 1e6:,.2f}",
            "" if entry.operations is None else f"{entry.operations / 1e12:,.3g}",
            duration(entry.encode_seconds / plan.devices),
            duration(entry.search_seconds),
            size(entry.disk),
        )
        for entry in plan.datasets
    ]
    headers = ("dataset", "documents", "queries", "M tokens", "TFLOP", "encode", "search", "disk")
    align = ("left", *["right"] * (len(headers) - 1))
    print(tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, colalign=align))
    cost = plan.encoder
    rate = (
        f"{cost.operations_a_second / 1e9:,.0f} GFLOP/s"
        if cost.shape
        else f"{cost.tokens_a_second:,.0f} tokens/s"
    )
    devices = f", shared by {plan.devices} devices" if plan.devices > 1 else ""
    print(f"\nrate:   {rate} in {cost.dtype} on {cost.device}, {cost.how}{devices}")
    print(f"time:   {duration(plan.seconds)} in all")
    print(f"memory: {size(plan.memory)} at most, of which weights {size(cost.weights_bytes)}")
    print(f"disk:   {size(sum(entry.disk for entry in plan.datasets))} besides the datasets")
    if not all(entry.counted for entry in plan.datasets):
        print("* tokens estimated: the dataset or the tokenizer is not here")


def size(count: float) -> str:
    """`812 MB` (2^20 bytes), `3.4 GB` (2^30)"""
    if count < 1000 << 20:
        return f"{count / 2**20:,.0f} MB"
    return f"{count / 2**30:,.1f} GB"
