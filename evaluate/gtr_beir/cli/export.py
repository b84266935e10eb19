"""`gtr-beir export mteb | model-card`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.cli.options import Commands

if TYPE_CHECKING:
    from gtr_beir.report.exchange.fitness import SystemValues

_EXPORTS = Path("exports")


def add_export(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "export",
        help="write results in the layouts of mteb and of the Hugging Face hub",
        description="Write a system's results for other tools. Only what MTEB measures too is "
        "written: texts cut at the checkpoint's own limit (--protocol hub), the whole corpus, "
        "MTEB's policy on documents with the query's own id.",
    )
    forms = parser.add_subparsers(title="forms", metavar="FORM", required=True)

    mteb = _form(forms, "mteb", "a folder that mteb's ResultCache reads", _EXPORTS / "mteb")
    mteb.set_defaults(act=_mteb)

    card = _form(
        forms,
        "model-card",
        ".eval_results and a model-index for a model's page",
        _EXPORTS / "model-card" / "SYSTEM",
    )
    card.set_defaults(act=_model_card)


def _form(
    forms: Commands[argparse.ArgumentParser], name: str, what: str, usual: Path
) -> argparse.ArgumentParser:
    parser = forms.add_parser(name, help=what, description=f"Write {what}; nothing is sent.")
    parser.add_argument(
        "system", type=Path, help="folder of a system's results, such as results/gtr-base@hub"
    )
    parser.add_argument(
        "--name", metavar="ORG/MODEL", help="name of the model (default: its Hugging Face id)"
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="FOLDER", help=f"folder to write to (default: {usual})"
    )
    return parser


def _mteb(options: argparse.Namespace) -> None:
    from gtr_beir.report.exchange.fitness import values_for_others
    from gtr_beir.report.exchange.mteb_export import export_mteb

    values = values_for_others(options.system, options.name)
    _say(values, export_mteb(values, options.out or _EXPORTS / "mteb"))


def _model_card(options: argparse.Namespace) -> None:
    from gtr_beir.report.exchange.fitness import values_for_others
    from gtr_beir.report.exchange.model_card import export_model_card

    values = values_for_others(options.system, options.name)
    usual = _EXPORTS / "model-card" / options.system.resolve().name
    _say(values, export_model_card(values, options.out or usual))


def _say(values: SystemValues, folder: Path) -> None:
    """The folder, to be used by a script; the rest for people."""
    print(folder)
    count = len(values.tasks)
    told = f"{values.model} at {values.revision}: {count} task{'' if count == 1 else 's'}"
    print(told, file=sys.stderr)
    for sentence in values.skipped:
        print(f"not written: {sentence}", file=sys.stderr)
