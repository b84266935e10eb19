"""`gtr-beir models list | fetch | check | convert`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gtr_beir.cli.options import Commands, quiet
from gtr_beir.errors import CheckpointError, UsageError


def add_models(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "models", help="released checkpoints: list and fetch; any: check that it is GTR, convert"
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)

    listing = actions.add_parser("list", help="the released checkpoints, and which are here")
    listing.set_defaults(act=_list)

    fetching = actions.add_parser("fetch", help="bring checkpoints into the Hugging Face cache")
    fetching.add_argument("models", nargs="+", metavar="NAME", help="gtr-base, or a hub id")
    fetching.add_argument("--revision", help="another commit, tag or branch")
    quiet(fetching)
    fetching.set_defaults(act=_fetch)

    checking = actions.add_parser(
        "check", help="prove that checkpoints are GTR, or say all that differs"
    )
    checking.add_argument(
        "models", nargs="+", metavar="NAME", help="a folder, t5x:PATH, gtr-base, or a hub id"
    )
    checking.add_argument("--heads", type=int, metavar="N", help="that a T5X checkpoint must have")
    checking.add_argument("--revision", help="of a hub id")
    checking.add_argument("--offline", action="store_true", help="fetch nothing")
    checking.set_defaults(act=_check)

    converting = actions.add_parser(
        "convert", help="write a checkpoint as a sentence-transformers folder (float32)"
    )
    converting.add_argument("model", metavar="NAME", help="t5x:PATH, a folder, or a hub id")
    converting.add_argument("out", type=Path, metavar="FOLDER")
    converting.add_argument(
        "--tokenizer", metavar="FOLDER|ID", help="for a T5X checkpoint, which carries none"
    )
    converting.add_argument("--heads", type=int, metavar="N", help="that it must have")
    converting.add_argument("--offline", action="store_true", help="fetch nothing")
    quiet(converting)
    converting.set_defaults(act=_convert)


def _list(options: argparse.Namespace) -> None:
    del options
    from tabulate import tabulate

    from gtr_beir.checkpoints.hub import is_in_cache
    from gtr_beir.checkpoints.layout import RELEASED

    rows = [
        (
            name,
            entry.hub,
            entry.revision[:12],
            f"{entry.parameters:,}",
            "yes" if is_in_cache(entry.hub, entry.revision) else "no",
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
    from gtr_beir.checkpoints.hub import open_checkpoint

    for name in options.models:
        if Path(name).expanduser().is_dir():
            raise UsageError(f"{name} is a folder, which needs no fetching")
        folder = open_checkpoint(name, revision=options.revision, offline=False)
        if not options.quiet:
            what = "GTR" if folder.gtr else " > ".join(folder.modules)
            print(f"{name}: {what}, commit {folder.revision}")
        print(folder.path)


def _check(options: argparse.Namespace) -> None:
    from gtr_beir.checkpoints.hub import as_path, open_checkpoint
    from gtr_beir.checkpoints.proof import Finding, prove_arrays, prove_folder
    from gtr_beir.checkpoints.t5x import PREFIX, T5xArrays

    for name in options.models:
        if name.startswith(("tfhub:", "colbert")):
            raise UsageError(
                f"models check proves GTR in T5X or sentence-transformers form, not {name}; "
                "`gtr-beir run` refuses what it cannot use"
            )
    failed = []
    for name in options.models:
        try:
            if name.startswith(PREFIX):
                if options.revision is not None:
                    raise UsageError(f"{name} has no revisions; leave --revision out")
                path = as_path(name.removeprefix(PREFIX))
                arrays = T5xArrays(path, heads=options.heads)
                findings = [
                    Finding("layout", True, "a T5X dual encoder, every array placed"),
                    *prove_arrays(arrays),
                ]
            else:
                if options.heads is not None:
                    raise UsageError(f"--heads is for t5x: checkpoints, not for {name}")
                findings = prove_folder(
                    open_checkpoint(name, revision=options.revision, offline=options.offline)
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
        raise CheckpointError(f"{', '.join(failed)} cannot be used as GTR; see above what differs")


def _convert(options: argparse.Namespace) -> None:
    from gtr_beir.checkpoints.convert import write_folder
    from gtr_beir.checkpoints.hub import as_path, open_checkpoint
    from gtr_beir.checkpoints.layout import GtrArrays
    from gtr_beir.checkpoints.t5x import PREFIX, T5xArrays
    from gtr_beir.checkpoints.tokenizer import (
        GTR_LENGTH,
        open_tokenizer,
        require_fitting,
        t5x_tokenizer,
        text_face,
    )

    arrays: GtrArrays
    prompts: dict[str, str] | None
    if options.model.startswith(PREFIX):
        path = as_path(options.model.removeprefix(PREFIX))
        arrays, prompts = T5xArrays(path, heads=options.heads), None
        tokenizer = open_tokenizer(
            t5x_tokenizer(path, options.tokenizer), fetch=not options.offline
        )
        length = GTR_LENGTH
    else:
        if options.tokenizer is not None or options.heads is not None:
            raise UsageError("--tokenizer and --heads are for t5x: checkpoints; leave them out")
        folder = open_checkpoint(options.model, revision=None, offline=options.offline)
        if not folder.gtr:
            raise CheckpointError(f"{options.model} is no GTR checkpoint, so it is not converted")
        arrays = folder.arrays()
        tokenizer = open_tokenizer(folder.transformer)
        face = text_face(folder.path, folder.transformer)
        length, prompts = face.own_length, face.prompts
    require_fitting(tokenizer.backend_tokenizer, arrays.shape.vocabulary, arrays.source)
    say = (lambda _: None) if options.quiet else (lambda line: print(line, file=sys.stderr))
    write_folder(arrays, tokenizer, options.out, own_length=length, prompts=prompts, say=say)
    print(options.out)
