"""`gtr-beir models list | fetch | check | convert`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gtr_beir.cli.options import Commands, quiet
from gtr_beir.errors import CheckpointError, UsageError


def add_models(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "models", help="list and fetch released checkpoints; check or convert any checkpoint"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="the released checkpoints, and which are here")
    listing.set_defaults(act=_list)

    fetching = actions.add_parser("fetch", help="download checkpoints into the Hugging Face cache")
    fetching.add_argument("models", nargs="+", metavar="NAME", help="gtr-base, or a hub id")
    fetching.add_argument(
        "--revision", help="commit, tag or branch to use of a checkpoint on the hub"
    )
    quiet(fetching)
    fetching.set_defaults(act=_fetch)

    checking = actions.add_parser(
        "check", help="check that checkpoints are GTR, and list all that differs"
    )
    checking.add_argument(
        "models", nargs="+", metavar="NAME", help="a folder, t5x:PATH, gtr-base, or a hub id"
    )
    checking.add_argument(
        "--heads",
        type=int,
        metavar="N",
        help="number of attention heads that the T5X checkpoint must have",
    )
    checking.add_argument(
        "--revision", help="commit, tag or branch to use of a checkpoint on the hub"
    )
    checking.add_argument("--offline", action="store_true", help="fetch nothing")
    checking.set_defaults(act=_check)

    converting = actions.add_parser(
        "convert", help="write a checkpoint as a sentence-transformers folder (float32)"
    )
    converting.add_argument("model", metavar="NAME", help="t5x:PATH, a folder, or a hub id")
    converting.add_argument("out", type=Path, metavar="FOLDER", help="new folder for the result")
    converting.add_argument(
        "--tokenizer",
        metavar="FOLDER|ID",
        help="tokenizer for a T5X checkpoint, which carries none",
    )
    converting.add_argument(
        "--heads",
        type=int,
        metavar="N",
        help="number of attention heads that the T5X checkpoint must have",
    )
    converting.add_argument("--offline", action="store_true", help="fetch nothing")
    quiet(converting)
    converting.set_defaults(act=_convert)


def _list(options: argparse.Namespace) -> None:
    del options
    from tabulate import tabulate

    from gtr_beir.checkpoints.hub import whole_in_cache
    from gtr_beir.checkpoints.layout import RELEASED

    rows = [
        (
            name,
            entry.hub,
            entry.revision[:12],
            f"{entry.parameters:,}",
            "yes" if whole_in_cache(entry.hub, entry.revision) else "no",
        )
        for name, entry in RELEASED.items()
    ]
    headers = ("name", "Hugging Face hub", "commit", "parameters", "here")
    print(
        tabulate(rows, headers=headers, tablefmt="simple", disable_numparse=True, colalign=_ALIGN)
    )
    print("\nAny other hub id, sentence-transformers folder, t5x:PATH or tfhub:PATH works as well.")


_ALIGN = ("left", "left", "left", "right", "left")


def _fetch(options: argparse.Namespace) -> None:
    from gtr_beir.checkpoints.door import T5X, TFHUB, open_checkpoint

    for name in options.models:
        if Path(name).expanduser().is_dir():
            raise UsageError(f"{name} is a folder, so there is nothing to fetch")
        if name.startswith((T5X, TFHUB)):
            raise UsageError(f"{name} is not on the Hugging Face hub, so it cannot be fetched")
        checkpoint = open_checkpoint(name, revision=options.revision)
        if not options.quiet:
            what = "GTR" if checkpoint.gtr else " > ".join(checkpoint.modules) or "ColBERT"
            print(f"{name}: {what}, commit {checkpoint.commit}")
        print(checkpoint.path)


def _check(options: argparse.Namespace) -> None:
    from gtr_beir.checkpoints.door import TFHUB, is_multi_vector, open_checkpoint
    from gtr_beir.checkpoints.proof import Finding, prove

    for name in options.models:
        if name.startswith(TFHUB) or is_multi_vector(name):
            raise UsageError(
                "`gtr-beir models check` is for T5X checkpoints and sentence-transformers "
                f"models, not for {name}; `gtr-beir run` refuses what it cannot use"
            )
    failed = []
    for name in options.models:
        try:
            findings = prove(
                open_checkpoint(
                    name,
                    revision=options.revision,
                    heads=options.heads,
                    offline=options.offline,
                )
            )
        except CheckpointError as error:
            findings = [Finding("layout", False, str(error))]
        good = all(finding.good for finding in findings)
        print(f"{name}: {'GTR' if good else 'not GTR'}")
        for finding in findings:
            print(f"  {'ok ' if finding.good else 'NO '} {finding.part}: {finding.seen}")
        if not good:
            failed.append(name)
    sys.stdout.flush()
    if failed:
        raise CheckpointError(
            f"{', '.join(failed)} cannot be used as GTR; the lines above say what differs"
        )


def _convert(options: argparse.Namespace) -> None:
    from gtr_beir.checkpoints.convert import write_folder
    from gtr_beir.checkpoints.door import open_checkpoint

    checkpoint = open_checkpoint(
        options.model,
        tokenizer=options.tokenizer,
        heads=options.heads,
        offline=options.offline,
    )
    arrays, face = checkpoint.arrays(), checkpoint.face()
    say = (lambda _: None) if options.quiet else (lambda line: print(line, file=sys.stderr))
    write_folder(
        arrays,
        checkpoint.tokenizer(),
        options.out,
        own_length=face.own_length,
        prompts=face.prompts,
        say=say,
    )
    print(options.out)
