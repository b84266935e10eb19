"""`gtr-beir claims`."""

from __future__ import annotations

import argparse
import sys

from gtr_beir.cli.options import Commands, folders
from gtr_beir.errors import UsageError


def add_claims(commands: Commands[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "claims",
        help="what the GTR paper claims, beside what was measured",
        description="Hold the claims of the GTR paper against your own records: REPRODUCED, "
        "DIFFERS, NOT RUN (and what to run), or NOT CHECKABLE (and why). Only records of the "
        "released checkpoints count.",
    )
    parser.add_argument(
        "--id",
        action="append",
        default=[],
        metavar="ID",
        help="say all about one claim, such as C4; give --id again for each further one",
    )
    parser.add_argument(
        "--format",
        choices=["text", "md", "json"],
        default="text",
        help="form of the output (default: text)",
    )
    folders(parser, results=True)
    parser.set_defaults(act=_claims)


def _claims(options: argparse.Namespace) -> None:
    from gtr_beir.report.claims import text
    from gtr_beir.report.claims.evidence import Evidence
    from gtr_beir.report.claims.parts import STATED
    from gtr_beir.report.claims.rows import CLAIMS, claim_answers, systems

    known = [claim.id for claim in CLAIMS]
    ids = [name.upper() for name in options.id]
    for name, given in zip(ids, options.id, strict=True):
        if name not in known:
            raise UsageError(f"there is no claim '{given}'; they are {known[0]} to {known[-1]}")
    evidence = Evidence(options.results_dir, options.datasets_dir, STATED, _say)
    answers = claim_answers(evidence, ids)
    remarks = list(evidence.remarks(systems()))
    folder = str(options.results_dir)
    if options.format == "md":
        print(text.markdown(answers, remarks, folder), end="")
    elif options.format == "json":
        print(text.as_json(answers, remarks, folder))
    elif ids:
        print("\n".join(text.in_full(one, folder) for one in answers), end="")
    else:
        print(text.overview(answers, remarks, folder), end="")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
