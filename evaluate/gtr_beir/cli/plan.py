"""`gtr-beir plan`."""

from __future__ import annotations

import argparse

from gtr_beir.cli.options import Commands, folders
from gtr_beir.errors import UsageError


def add_plan(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "plan",
        help="time, memory and disk of a run, before it starts",
        description="Documents, tokens, arithmetic, time at a rate measured now on this machine, "
        "memory and disk of a run. Nothing is fetched or written; datasets that are not here are "
        "estimated from what the registry knows.",
    )
    parser.add_argument(
        "system", help="as of `gtr-beir run`: gtr-xxl, a folder, a hub id, t5x:PATH"
    )
    parser.add_argument("-d", "--dataset", action="append", default=[], metavar="NAME")
    parser.add_argument("--suite", help="all, zero-shot, public or demo")
    parser.add_argument("--protocol", choices=["paper", "hub"], default="paper")
    parser.add_argument("--dtype", metavar="fp32|bf16")
    parser.add_argument("--device", help="cpu, cuda, or several: cuda:0,cuda:1")
    parser.add_argument("--tokenizer", metavar="FOLDER|ID", help="for a T5X checkpoint")
    parser.add_argument("--depth", type=int, default=1000)
    parser.add_argument("--discard-embeddings", action="store_true", help="keep no vectors")
    folders(parser)
    parser.set_defaults(act=_plan)


def _plan(options: argparse.Namespace) -> None:
    from tabulate import tabulate

    from gtr_beir.data.registry import suite
    from gtr_beir.encoders.base import Settings
    from gtr_beir.planning import plan_run
    from gtr_beir.systems.base import require_settings

    names = [*options.dataset, *(suite(options.suite) if options.suite else ())]
    if not names:
        raise UsageError(
            "no dataset was named; give -d NAME (as often as you like) or --suite NAME"
        )
    if options.depth < 1:
        raise UsageError(f"--depth {options.depth} is not possible; give 1 or more")
    settings = Settings(
        protocol=options.protocol,
        dtype=options.dtype,
        device=options.device,
        tokenizer=options.tokenizer,
        offline=True,
    )
    require_settings(settings)
    plan = plan_run(
        options.system,
        list(dict.fromkeys(names)),
        settings,
        datasets_dir=options.datasets_dir,
        depth=options.depth,
        keep_embeddings=not options.discard_embeddings,
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
    print(f"disk:   {size(sum(entry.disk for entry in plan.datasets))} beside the datasets")
    if not all(entry.counted for entry in plan.datasets):
        print("* tokens estimated: the dataset or the tokenizer is not here")


def duration(seconds: float) -> str:
    """`43 s`, `12 min`, `3.4 h`, `2.1 days`"""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5_970:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.1f} days"


def size(count: float) -> str:
    """`812 MB` (2^20 bytes), `3.4 GB` (2^30)"""
    if count < 1000 << 20:
        return f"{count / 2**20:,.0f} MB"
    return f"{count / 2**30:,.1f} GB"
