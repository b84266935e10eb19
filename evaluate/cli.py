"""The command line: one thin function a subcommand; errors become one sentence here.

Exit codes: 0 done, 1 the work failed, 2 wrong use, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import evaluate
from evaluate.errors import GtrBeirError, UsageError

if TYPE_CHECKING:
    from evaluate.data.store import Dataset, DatasetGroup
    from evaluate.records import Record


_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,119}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if "act" not in options:
        parser.print_help()
        return 2
    try:
        options.act(options)
        sys.stdout.flush()
    except GtrBeirError as error:
        print(f"gtr-beir: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\ngtr-beir: stopped; the same command goes on where it was", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gtr-beir",
        description="How well does a GTR checkpoint retrieve on all of BEIR, against BM25, ColBERT "
        "and the published numbers?",
        epilog="Every command explains itself: gtr-beir run --help",
    )
    parser.add_argument("--version", action="version", version=f"gtr-beir {evaluate.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_run(commands)
    _add_datasets(commands)
    _add_leaderboard(commands)
    _add_score(commands)
    _add_compare(commands)
    return parser


def _folders(parser: argparse.ArgumentParser, *, results: bool = False) -> None:
    parser.add_argument(
        "--datasets-dir", type=Path, help="default: $GTR_BEIR_DATASETS or datasets_cache"
    )
    if results:
        _results_folder(parser)


def _results_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results-dir",
        type=Path,
        default=Path(os.environ.get("GTR_BEIR_RESULTS") or "results"),
        help="default: $GTR_BEIR_RESULTS or results",
    )


def _quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only results")


# run ----------------------------------------------------------------------------------------------


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "run",
        help="rank, score and record datasets with a system",
        description="Rank, score and record datasets with one system. What is done already is not "
        "done again; an interrupted run goes on where it was.",
    )
    parser.add_argument(
        "system",
        help="bm25-flat, bm25-multifield, a Hugging Face id, or a sentence-transformers folder",
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
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU if there is one)")
    parser.add_argument("--revision", help="commit, tag or branch of a Hugging Face id")
    parser.add_argument("--depth", type=int, default=1000, help="documents kept a query (1000)")
    parser.add_argument(
        "--self-matches",
        choices=["drop", "keep"],
        default="drop",
        help="documents that have the query's own id: dropped before the cut (default), or kept",
    )
    parser.add_argument("--block-documents", type=int, metavar="N", help="documents in a block")
    parser.add_argument("--batch-tokens", type=int, metavar="N", help="padded tokens in a batch")
    parser.add_argument("--k1", type=float, help="BM25's k1 (0.9)")
    parser.add_argument("--b", type=float, help="BM25's b (0.4)")
    parser.add_argument(
        "--field-weights", metavar="contents=1,title=1", help="of bm25-multifield (1 each)"
    )
    parser.add_argument(
        "--processes", type=int, metavar="N", help="that build an index (all cores)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the arithmetic")
    parser.add_argument(
        "--discard-embeddings", action="store_true", help="keep no vectors, only rankings"
    )
    parser.add_argument("--again", action="store_true", help="replace a record that is there")
    parser.add_argument("--offline", action="store_true", help="fetch nothing")
    _folders(parser, results=True)
    _quiet(parser)
    parser.set_defaults(act=_run)


def _run(options: argparse.Namespace) -> None:
    from evaluate.data.catalogue import load_dataset
    from evaluate.data.registry import suite

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
    ):
        if value is not None and value < 1:
            raise UsageError(f"{flag} {value} is not possible; give 1 or more")
    if options.label is not None and not _LABEL.fullmatch(options.label):
        raise UsageError(
            f"'{options.label}' cannot be a label; use letters, digits, '.', '_', '@' and '-'"
        )
    datasets = [
        load_dataset(
            name,
            datasets_dir=options.datasets_dir,
            fetch=not options.offline,
            quiet=options.quiet,
        )
        for name in names
    ]
    if options.offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)

    from evaluate.blocks import DEFAULT_BLOCK
    from evaluate.evaluation import Plan, benchmark
    from evaluate.systems.base import Settings, load_system

    system = load_system(
        options.system,
        Settings(
            protocol=options.protocol,
            dtype=options.dtype,
            device=options.device,
            batch_tokens=options.batch_tokens,
            revision=options.revision,
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
        again=options.again,
        quiet=options.quiet,
    )
    for dataset in datasets:
        record = benchmark(system, dataset, plan)
        print(_record_line(record), flush=True)
    if not options.quiet:
        print(
            f"records and runs: {options.results_dir / (options.label or system.name)}\n"
            "leaderboard:      gtr-beir leaderboard",
            file=sys.stderr,
        )


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


# datasets -----------------------------------------------------------------------------------------


def _add_datasets(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("datasets", help="list, import and check datasets")
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = inner.add_parser("list", help="all datasets, and which of them are here")
    listing.add_argument(
        "--markdown", action="store_true", help="the registry alone, as the docs have it"
    )
    _folders(listing)
    listing.set_defaults(act=_datasets_list)

    fetch = inner.add_parser(
        "fetch",
        help="download public datasets, verified, into the store",
        description="Download from the BEIR server (or the hub's mirrors), check the hash, import "
        "with the released counts. A broken download goes on where it stopped.",
    )
    fetch.add_argument("names", nargs="*", metavar="NAME")
    fetch.add_argument("--suite", help="public (those that can be downloaded), zero-shot or all")
    fetch.add_argument("--base-url", help="a mirror with NAME.zip files (or $GTR_BEIR_URL)")
    fetch.add_argument("--keep-zip", action="store_true", help="keep the zip after the import")
    _folders(fetch)
    _quiet(fetch)
    fetch.set_defaults(act=_datasets_fetch)

    bring = inner.add_parser(
        "import",
        help="bring a BEIR folder or zip into the store",
        description="Read a BEIR folder or zip strictly, in one pass, into the store. A registered "
        "name must have the released counts; any other name is a dataset of your own.",
    )
    bring.add_argument("path", type=Path, help="folder or zip with corpus, queries and qrels")
    bring.add_argument("--name", help="default: the folder's or zip's own name")
    bring.add_argument(
        "--queries", type=Path, metavar="TOPICS", help="TREC topics (id<TAB>text, .gz as well)"
    )
    bring.add_argument(
        "--qrels", type=Path, metavar="QRELS", help="TREC qrels of four columns (.gz as well)"
    )
    bring.add_argument("--split", help="judgements to use (default: the registry's, else test)")
    _folders(bring)
    _quiet(bring)
    bring.set_defaults(act=_datasets_import)

    convert = inner.add_parser(
        "convert",
        help="make a gated dataset from its licensed original",
        description="Make robust04, trec-news, bioasq or signal1m from the original that you have. "
        "The public topics and qrels are fetched unless they are given; nothing licensed is.",
    )
    convert.add_argument("dataset", metavar="NAME")
    convert.add_argument("--source", type=Path, required=True, metavar="DIR")
    convert.add_argument("--topics", type=Path, metavar="FILE")
    convert.add_argument("--qrels", type=Path, metavar="FILE")
    convert.add_argument("--name", help="another name, under which other counts are accepted")
    convert.add_argument("--offline", action="store_true", help="fetch nothing")
    _folders(convert)
    _quiet(convert)
    convert.set_defaults(act=_datasets_convert)

    check = inner.add_parser("check", help="prove that datasets on this machine are whole")
    check.add_argument("names", nargs="*", metavar="NAME", help="default: all that are here")
    _folders(check)
    check.set_defaults(act=_datasets_check)


def _datasets_list(options: argparse.Namespace) -> None:
    from evaluate.data.store import datasets_folder
    from evaluate.report.dataset_table import dataset_table

    folder = None if options.markdown else datasets_folder(options.datasets_dir)
    print(dataset_table(folder, style="github" if options.markdown else "simple"))


def _datasets_fetch(options: argparse.Namespace) -> None:
    from evaluate.data.catalogue import load_dataset
    from evaluate.data.fetch import fetch_dataset, gated_sentence
    from evaluate.data.registry import benchmark_names, closest, registered, suite
    from evaluate.data.store import datasets_folder, is_here

    folder = datasets_folder(options.datasets_dir)
    specs = []
    for name in (*options.names, *(suite(options.suite) if options.suite else ())):
        spec = registered(name)
        if spec is None or "/" in name:
            near = closest(name, benchmark_names())
            raise UsageError(f"there is no BEIR dataset '{name}'{near or '; see datasets list'}")
        specs.append(spec)
    if not specs:
        raise UsageError("no dataset was named; give NAME (as many as you like) or --suite public")
    for spec in specs:
        if all(is_here(part, folder) for part in spec.parts or (spec.name,)):
            print(f"{spec.name}: here already")
            load_dataset(spec.name, datasets_dir=folder)
        elif spec.gated and options.suite:
            print(f"{spec.name}: {gated_sentence(spec)}", file=sys.stderr)
        else:
            brought = fetch_dataset(
                spec,
                datasets_dir=folder,
                base_url=options.base_url,
                keep_zip=options.keep_zip,
                quiet=options.quiet,
            )
            _print_brought(brought)


def _datasets_import(options: argparse.Namespace) -> None:
    from evaluate.data.importing import import_beir
    from evaluate.data.originals import import_with_trec_forms

    if (options.queries is None) != (options.qrels is None):
        raise UsageError("--queries and --qrels go together; give both, or neither")
    brought: Dataset | DatasetGroup
    if options.queries:
        brought = import_with_trec_forms(
            options.path,
            topics=options.queries,
            qrels=options.qrels,
            name=options.name,
            datasets_dir=options.datasets_dir,
            quiet=options.quiet,
        )
    else:
        brought = import_beir(
            options.path,
            name=options.name,
            split=options.split,
            datasets_dir=options.datasets_dir,
            quiet=options.quiet,
        )
    _print_brought(brought)


def _datasets_convert(options: argparse.Namespace) -> None:
    from evaluate.data.originals import convert

    brought = convert(
        options.dataset,
        options.source,
        topics=options.topics,
        qrels=options.qrels,
        name=options.name,
        datasets_dir=options.datasets_dir,
        offline=options.offline,
        quiet=options.quiet,
    )
    _print_brought(brought)


def _print_brought(brought: Dataset | DatasetGroup) -> None:
    for dataset in getattr(brought, "parts", [brought]):
        facts = dataset.manifest
        print(
            f"{dataset.name}: {facts['documents']:,} documents, "
            f"{facts['queries']:,} judged queries, "
            f"{facts['judgements']:,} judgements ({facts['split']})"
        )
        if facts["other_count"]:
            print(f"  not BEIR's count: {facts['other_count']}")
        for key, words in (
            ("blank_documents", "documents have neither title nor text"),
            ("judged_documents_missing", "judgements name documents that the corpus lacks"),
            ("unjudged_queries", "queries have no judgement and are left out"),
        ):
            if facts[key]:
                print(f"  {facts[key]:,} {words}")


def _datasets_check(options: argparse.Namespace) -> None:
    from evaluate.data.catalogue import load_dataset
    from evaluate.data.registry import registered
    from evaluate.data.store import check_files, datasets_folder, names_here
    from evaluate.errors import StoreError

    folder = datasets_folder(options.datasets_dir)
    names: list[str] = []
    for name in options.names or names_here(folder):
        spec = registered(name)
        names += spec.parts if spec and spec.parts else [name]
    if not names:
        raise UsageError(f"there is no dataset in {folder}; `gtr-beir datasets import PATH`")
    broken = []
    for name in names:
        load_dataset(name, datasets_dir=folder)
        problems = list(check_files(folder / name))
        print(f"{name}: {'; '.join(problems) if problems else 'whole'}", flush=True)
        _print_index_terms(load_dataset(name, datasets_dir=folder))
        broken += [name] if problems else []
    if broken:
        raise StoreError(
            f"{', '.join(broken)}: damaged; mend it with `gtr-beir datasets import PATH --name "
            f"{broken[0]}`"
        )


def _print_index_terms(dataset: Dataset | DatasetGroup) -> None:
    """Total terms of a BM25 index that is there, beside Anserini's: a proof of the corpus."""
    from evaluate.data.store import Dataset
    from evaluate.systems.bm25 import FIELDS, index_terms

    if not isinstance(dataset, Dataset):
        return
    for mode in FIELDS:
        terms = index_terms(dataset, mode)
        published = (dataset.spec.bm25_terms or {}).get(mode)
        if terms is not None and published is not None:
            verdict = "as Anserini's" if terms == published else f"Anserini's has {published:,}"
            print(f"  bm25-{mode}: {terms:,} terms, {verdict}")


# leaderboard --------------------------------------------------------------------------------------


def _add_leaderboard(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "leaderboard",
        help="own records beside the published numbers, as tables",
        description="Write leaderboard.* into the results folder: NDCG@10 and Recall@100, own "
        "records beside the published numbers.",
    )
    parser.add_argument("--format", default="md,csv", help="of md, csv, html, latex (md,csv)")
    parser.add_argument("--print", action="store_true", help="also print the markdown")
    _results_folder(parser)
    parser.set_defaults(act=_leaderboard)


def _leaderboard(options: argparse.Namespace) -> None:
    from evaluate.files import atomic_write
    from evaluate.records import read_all
    from evaluate.report import render
    from evaluate.report.table import differences, leaderboard

    formats = [name.strip() for name in options.format.split(",") if name.strip()]
    if not formats:
        raise UsageError(f"no format was named; choose of {', '.join(render.FORMATS)}")
    for name in formats:
        if name not in render.FORMATS:
            raise UsageError(f"there is no format '{name}'; choose of {', '.join(render.FORMATS)}")
    tables = leaderboard(options.results_dir)
    compared = differences(read_all(options.results_dir))
    for name in formats:
        path = options.results_dir / f"leaderboard.{render.SUFFIXES[name]}"
        with atomic_write(path, "w") as handle:
            handle.write(render.FORMATS[name](tables, compared))
        print(path)
    if options.print:
        print(render.markdown(tables, compared))


# score, compare -----------------------------------------------------------------------------------


def _add_score(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "score",
        help="score anyone's TREC run file",
        description="Score a TREC run file (.gz as well). Nothing is dropped from it; queries that "
        "it lacks score 0.",
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("-d", "--dataset", required=True, metavar="NAME")
    parser.add_argument("--per-query", type=Path, metavar="CSV", help="write per-query values too")
    _folders(parser)
    parser.set_defaults(act=_score)


def _score(options: argparse.Namespace) -> None:
    from evaluate.data.catalogue import load_dataset
    from evaluate.data.store import Dataset
    from evaluate.evaluation import score_run, write_per_query

    dataset = load_dataset(options.dataset, datasets_dir=options.datasets_dir)
    if not isinstance(dataset, Dataset):
        raise UsageError(f"{options.dataset} is a mean of forums; score each forum's run alone")
    means, values = score_run(options.run, dataset)
    for name, value in means.items():
        print(f"{name:15} {value:.4f}")
    print(f"{'queries':15} {len(values)}")
    if options.per_query:
        write_per_query(options.per_query, values)


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "compare",
        help="paired significance tests of two results",
        description="Compare two results by paired tests over the same queries. A and B are "
        "folders of a system (every dataset that both have is compared), folders of one dataset, "
        "or queries.csv files.",
    )
    parser.add_argument("a", type=Path)
    parser.add_argument("b", type=Path)
    parser.add_argument("--measure", default="ndcg@10")
    parser.set_defaults(act=_compare)


def _compare(options: argparse.Namespace) -> None:
    from evaluate.report.comparison import compare_results, comparison_table

    print(comparison_table(compare_results(options.a, options.b, options.measure)))
