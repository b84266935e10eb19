"""`gtr-beir run`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.cli.options import Commands, folders, quiet
from gtr_beir.errors import UsageError

if TYPE_CHECKING:
    from gtr_beir.records import Record

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}")


def add_run(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="rank, score and record datasets with a system",
        description="Rank, score and record datasets with one system. What is done already is not "
        "done again; an interrupted run goes on where it was.",
    )
    parser.add_argument(
        "system",
        help="bm25-flat, bm25-multifield, colbert, gtr-base|large|xl|xxl, a Hugging Face id, a "
        "sentence-transformers folder, t5x:PATH, tfhub:PATH, or colbert:FOLDER|ID",
    )
    parser.add_argument("-d", "--dataset", action="append", default=[], metavar="NAME")
    parser.add_argument("--suite", help="all, zero-shot, public or demo")
    parser.add_argument("--label", help="name in folders and tables (default: the system's)")
    parser.add_argument(
        "--protocol",
        choices=["paper", "hub"],
        default="paper",
        help="lengths: of the GTR paper by dataset (default), or the checkpoint's own",
    )
    parser.add_argument("--dtype", metavar="fp32|bf16", help="precision of the encoder")
    parser.add_argument(
        "--device",
        help="cpu, cuda, cuda:1, or several that share the work, cuda:0,cuda:1 (default: a GPU if "
        "there is one)",
    )
    parser.add_argument("--revision", help="commit, tag or branch of a Hugging Face id")
    parser.add_argument(
        "--tokenizer", metavar="FOLDER|ID", help="for a T5X checkpoint, which carries none"
    )
    parser.add_argument("--depth", type=int, default=1000, help="documents kept a query (1000)")
    parser.add_argument(
        "--self-matches",
        choices=["drop", "keep"],
        default="drop",
        help="documents that have the query's own id: dropped before the cut (default), or kept",
    )
    parser.add_argument("--block-documents", type=int, metavar="N", help="documents in a block")
    parser.add_argument("--batch-tokens", type=int, metavar="N", help="tokens in a batch")
    parser.add_argument("--k1", type=float, help="BM25's k1 (0.9)")
    parser.add_argument("--b", type=float, help="BM25's b (0.4)")
    parser.add_argument(
        "--field-weights", metavar="contents=1,title=1", help="of bm25-multifield (1 each)"
    )
    parser.add_argument(
        "--rerank",
        type=Path,
        metavar="RUN",
        help="colbert: rank only the first --depth documents of this run file, or of the runs in "
        "this folder (results/bm25-flat)",
    )
    parser.add_argument("--query-length", type=int, metavar="N", help="colbert's, in tokens")
    parser.add_argument("--document-length", type=int, metavar="N", help="colbert's, in tokens")
    parser.add_argument(
        "--query-expansion",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="colbert: fill queries up with [MASK] (default: as the checkpoint has it)",
    )
    parser.add_argument(
        "--skiplist",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="colbert: leave punctuation out of documents (default: as the checkpoint has it)",
    )
    parser.add_argument("--query-prefix", metavar="TEXT", help="colbert's, before every query")
    parser.add_argument("--document-prefix", metavar="TEXT", help="colbert's, before documents")
    parser.add_argument(
        "--processes", type=int, metavar="N", help="that build an index (all cores)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the arithmetic")
    parser.add_argument(
        "--discard-embeddings", action="store_true", help="keep no vectors, only rankings"
    )
    parser.add_argument("--again", action="store_true", help="replace a record that is there")
    parser.add_argument("--offline", action="store_true", help="fetch nothing")
    folders(parser, results=True)
    quiet(parser)
    parser.set_defaults(act=_run)


def _run(options: argparse.Namespace) -> None:
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.data.registry import suite

    names = [*options.dataset, *(suite(options.suite) if options.suite else ())]
    if not names:
        raise UsageError(
            "no dataset was named; give -d NAME (as often as you like) or --suite NAME"
        )
    for value, flag in (
        (options.depth, "--depth"),
        (options.block_documents, "--block-documents"),
        (options.batch_tokens, "--batch-tokens"),
        (options.threads, "--threads"),
        (options.processes, "--processes"),
        (options.query_length, "--query-length"),
        (options.document_length, "--document-length"),
    ):
        if value is not None and value < 1:
            raise UsageError(f"{flag} {value} is not possible; give 1 or more")
    if options.label is not None and not _LABEL.fullmatch(options.label):
        raise UsageError(
            f"'{options.label}' cannot be a label; use letters, digits, '.', '_', '@' and '-'"
        )
    names = _obtainable(names, options)
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)

    from gtr_beir.encoders.base import Settings
    from gtr_beir.evaluation import Plan, benchmark, name_of
    from gtr_beir.systems.base import load_system
    from gtr_beir.work.blocks import DEFAULT_BLOCK

    system = load_system(
        options.system,
        Settings(
            protocol=options.protocol,
            dtype=options.dtype,
            device=options.device,
            batch_tokens=options.batch_tokens,
            revision=options.revision,
            tokenizer=options.tokenizer,
            query_length=options.query_length,
            document_length=options.document_length,
            query_expansion=options.query_expansion,
            skiplist=options.skiplist,
            query_prefix=options.query_prefix,
            document_prefix=options.document_prefix,
            offline=options.offline,
            k1=options.k1,
            b=options.b,
            field_weights=_field_weights(options.field_weights),
        ),
    )
    plan = Plan(
        results_dir=options.results_dir,
        label=options.label,
        depth=options.depth,
        self_matches=options.self_matches,
        block_documents=options.block_documents or DEFAULT_BLOCK,
        keep_embeddings=not options.discard_embeddings,
        processes=options.processes,
        rerank=options.rerank,
        again=options.again,
        quiet=options.quiet,
    )
    for name in names:
        dataset = load_dataset(
            name,
            datasets_dir=options.datasets_dir,
            fetch=not options.offline,
            quiet=options.quiet,
        )
        record = benchmark(system, dataset, plan)
        print(_record_line(record), flush=True)
    if not options.quiet:
        print(
            f"records and runs: {options.results_dir / (options.label or name_of(system, plan))}\n"
            "leaderboard:      gtr-beir leaderboard",
            file=sys.stderr,
        )


def _obtainable(names: Sequence[str], options: argparse.Namespace) -> list[str]:
    """Names of datasets that are here or can be fetched, before anything is: a name that is neither
    is an error, but a gated dataset that only a suite names is told and left out."""
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.data.registry import gated_sentence, registered
    from gtr_beir.data.store import datasets_folder, is_here

    folder = datasets_folder(options.datasets_dir)
    kept = []
    for name in dict.fromkeys(names):
        spec = registered(name)
        here = spec is not None and all(is_here(p, folder) for p in spec.parts or (name,))
        if spec is None or here or options.offline or (spec.gated and name in options.dataset):
            load_dataset(name, datasets_dir=folder)
        elif spec.gated:
            print(f"left out: {gated_sentence(spec)}", file=sys.stderr)
            continue
        elif "/" in name:
            load_dataset(name, datasets_dir=folder)
        kept.append(name)
    if not kept:
        raise UsageError("none of the datasets is here, and all of them are gated")
    return kept


def _field_weights(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    try:
        pairs = [part.split("=") for part in text.split(",")]
        return {name.strip(): float(weight) for name, weight in pairs}
    except ValueError:
        raise UsageError(
            f"--field-weights '{text}' is not of the form contents=1.0,title=0.5"
        ) from None


def _record_line(record: Record) -> str:
    values = "  ".join(
        f"{title} {record.measures[name]:.4f}"
        for title, name in (
            ("NDCG@10", "ndcg@10"),
            ("Recall@100", "recall@100"),
            ("Recall@1000", "recall@1000"),
        )
    )
    return (
        f"{record.dataset}  {record.system}  {values}  {record.n_queries:,} queries  "
        f"{record.signature}"
    )
