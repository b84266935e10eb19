"""`gtr-beir datasets list | fetch | import | convert | check`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.cli.options import Commands, folders, quiet
from gtr_beir.errors import FetchError, UsageError

if TYPE_CHECKING:
    from gtr_beir.data.store import Dataset, DatasetGroup


def add_datasets(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("datasets", help="list, import and check datasets")
    inner = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    listing = inner.add_parser("list", help="all datasets, and which of them are here")
    listing.add_argument(
        "--markdown",
        action="store_true",
        help="print the table of the docs: what the registry says, without what is here",
    )
    folders(listing)
    listing.set_defaults(act=_datasets_list)

    fetch = inner.add_parser(
        "fetch",
        help="download public datasets, verify them and import them",
        description="Download datasets from the BEIR server (or mirrors on the Hugging Face "
        "hub), check their hashes, and import them if the counts are the released ones. An "
        "interrupted download continues where it stopped.",
    )
    fetch.add_argument("names", nargs="*", metavar="NAME", help="a dataset to download")
    fetch.add_argument(
        "--suite",
        help="a set of datasets: public (the 14 zero-shot ones that can be fetched), nano "
        "(NanoBEIR's 13 samples of datasets) or all",
    )
    fetch.add_argument(
        "--base-url", help="address of a mirror that holds NAME.zip files (default: $GTR_BEIR_URL)"
    )
    fetch.add_argument("--keep-zip", action="store_true", help="keep the zip after the import")
    fetch.add_argument(
        "--again",
        action="store_true",
        help="download again and replace what is already here, such as a damaged dataset",
    )
    folders(fetch)
    quiet(fetch)
    fetch.set_defaults(act=_datasets_fetch)

    bring = inner.add_parser(
        "import",
        help="import a BEIR folder or zip",
        description="Import a BEIR folder or zip and check every line of it. Under a registered "
        "name, the counts must be the released ones; any other name is a dataset of your own.",
    )
    bring.add_argument("path", type=Path, help="folder or zip with corpus, queries and qrels")
    bring.add_argument("--name", help="name of the dataset (default: the folder's or zip's own)")
    bring.add_argument(
        "--queries",
        type=Path,
        metavar="TOPICS",
        help="file of TREC topics, a line each of id<TAB>text, plain or .gz",
    )
    bring.add_argument(
        "--qrels",
        type=Path,
        metavar="QRELS",
        help="file of TREC qrels in four columns, plain or .gz",
    )
    bring.add_argument(
        "--split", help="split whose judgements are used (default: the registry's, else test)"
    )
    bring.add_argument(
        "--again", action="store_true", help="replace another dataset of the same name"
    )
    folders(bring)
    quiet(bring)
    bring.set_defaults(act=_datasets_import)

    convert = inner.add_parser(
        "convert",
        help="make a gated dataset from its licensed original",
        description="Make robust04, trec-news, bioasq or signal1m from your copy of the "
        "original. The public topics and qrels are fetched unless you give them; licensed "
        "data are never fetched.",
    )
    convert.add_argument("dataset", metavar="NAME", help="robust04, trec-news, bioasq or signal1m")
    convert.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder with the licensed original",
    )
    convert.add_argument(
        "--topics", type=Path, metavar="FILE", help="file of topics (default: fetched)"
    )
    convert.add_argument(
        "--qrels", type=Path, metavar="FILE", help="file of qrels (default: fetched)"
    )
    convert.add_argument(
        "--name",
        help="another name for the dataset, under which counts other than BEIR's are accepted",
    )
    convert.add_argument("--offline", action="store_true", help="fetch nothing")
    convert.add_argument(
        "--again", action="store_true", help="replace another dataset of the same name"
    )
    folders(convert)
    quiet(convert)
    convert.set_defaults(act=_datasets_convert)

    check = inner.add_parser("check", help="check that the datasets on this machine are undamaged")
    check.add_argument(
        "names", nargs="*", metavar="NAME", help="a dataset to check (default: all that are here)"
    )
    folders(check)
    check.set_defaults(act=_datasets_check)


def _datasets_list(options: argparse.Namespace) -> None:
    from gtr_beir.data.store import datasets_folder
    from gtr_beir.report.dataset_table import dataset_table

    folder = None if options.markdown else datasets_folder(options.datasets_dir)
    print(dataset_table(folder, style="github" if options.markdown else "simple"))
    if not options.markdown:
        print("NanoBEIR's 13 samples of them, a few minutes each: --suite nano")


def _datasets_fetch(options: argparse.Namespace) -> None:
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.data.mirrors import fetch_dataset
    from gtr_beir.data.registry import (
        benchmark_names,
        closest,
        gated_sentence,
        nano_names,
        registered,
        suite,
    )
    from gtr_beir.data.store import datasets_folder, is_here

    folder = datasets_folder(options.datasets_dir)
    specs = []
    for name in (*options.names, *(suite(options.suite) if options.suite else ())):
        spec = registered(name)
        if spec is None or "/" in name:
            near = closest(name, (*benchmark_names(), *nano_names()))
            raise UsageError(
                f"there is no BEIR dataset '{name}'{near or '; see `gtr-beir datasets list`'}"
            )
        specs.append(spec)
    if not specs:
        raise UsageError("no dataset was named; give NAME (as many as you like) or --suite public")
    failed: list[str] = []
    for spec in specs:
        here = all(is_here(part, folder) for part in spec.parts or (spec.name,))
        if here and not options.again:
            print(f"{spec.name}: already here")
            load_dataset(spec.name, datasets_dir=folder)
        elif spec.gated and options.suite:
            print(f"{spec.name}: {gated_sentence(spec)}", file=sys.stderr)
        else:
            try:
                brought = fetch_dataset(
                    spec,
                    datasets_dir=folder,
                    base_url=options.base_url,
                    keep_zip=options.keep_zip,
                    quiet=options.quiet,
                )
            except FetchError as error:
                if len(specs) == 1:
                    raise
                print(f"gtr-beir: {error}", file=sys.stderr, flush=True)
                failed.append(spec.name)
                continue
            _print_brought(brought)
    if failed:
        raise FetchError(
            f"{len(failed)} of {len(specs)} datasets could not be fetched ({', '.join(failed)}); "
            "run the same command again for these alone"
        )


def _datasets_import(options: argparse.Namespace) -> None:
    from gtr_beir.data.importing import import_beir
    from gtr_beir.data.originals import import_with_trec_forms

    if (options.queries is None) != (options.qrels is None):
        raise UsageError("--queries and --qrels go together; give both, or neither")
    brought: Dataset | DatasetGroup
    if options.queries:
        brought = import_with_trec_forms(
            options.path,
            topics=options.queries,
            qrels=options.qrels,
            name=options.name,
            split=options.split,
            datasets_dir=options.datasets_dir,
            again=options.again,
            quiet=options.quiet,
        )
    else:
        brought = import_beir(
            options.path,
            name=options.name,
            split=options.split,
            datasets_dir=options.datasets_dir,
            again=options.again,
            quiet=options.quiet,
        )
    _print_brought(brought)


def _datasets_convert(options: argparse.Namespace) -> None:
    from gtr_beir.data.originals import convert

    brought = convert(
        options.dataset,
        options.source,
        topics=options.topics,
        qrels=options.qrels,
        name=options.name,
        datasets_dir=options.datasets_dir,
        offline=options.offline,
        again=options.again,
        quiet=options.quiet,
    )
    _print_brought(brought)


def _print_brought(brought: Dataset | DatasetGroup) -> None:
    from gtr_beir.data.store import Dataset

    for dataset in [brought] if isinstance(brought, Dataset) else brought.parts:
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
    from gtr_beir.data.catalogue import load_dataset
    from gtr_beir.data.registry import registered
    from gtr_beir.data.store import check_files, datasets_folder, names_here
    from gtr_beir.errors import StoreError

    folder = datasets_folder(options.datasets_dir)
    names: list[str] = []
    for name in options.names or names_here(folder):
        spec = registered(name)
        names += spec.parts if spec and spec.parts else [name]
    if not names:
        raise UsageError(
            f"there is no dataset in {folder}; get one with `gtr-beir datasets fetch "
            "NAME` or `gtr-beir datasets import PATH`"
        )
    broken = []
    unreadable = None
    for name in names:
        try:
            dataset = load_dataset(name, datasets_dir=folder)
            problems = list(check_files(folder / name))
        except StoreError as error:
            unreadable = unreadable or error
            print(f"{name}: {' '.join(str(error).split())}", flush=True)
            continue
        print(f"{name}: {'; '.join(problems) if problems else 'intact'}", flush=True)
        if problems:
            broken.append(name)
        else:
            _print_index_terms(dataset)
    if unreadable is not None:
        raise unreadable
    if broken:
        spec = registered(broken[0].partition("/")[0])
        mend = f"import PATH --name {broken[0]}"
        if spec is not None and not spec.gated:
            mend = f"fetch {spec.name} --again"
        raise StoreError(f"{', '.join(broken)}: damaged; repair it with `gtr-beir datasets {mend}`")


def _print_index_terms(dataset: Dataset | DatasetGroup) -> None:
    """Total terms of a BM25 index that is there, beside Anserini's: a proof of the corpus."""
    from gtr_beir.data.store import Dataset
    from gtr_beir.systems.bm25_index import FIELDS, index_terms

    if not isinstance(dataset, Dataset):
        return
    for mode in FIELDS:
        terms = index_terms(dataset, mode)
        published = (dataset.spec.bm25_terms or {}).get(mode)
        if terms is not None and published is not None:
            verdict = (
                "the same as Anserini's" if terms == published else f"Anserini's has {published:,}"
            )
            print(f"  bm25-{mode}: {terms:,} terms, {verdict}")
