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
    from gtr_beir.report import claim_text
    from gtr_beir.report.claim_evidence import Evidence
    from gtr_beir.report.claim_list import CLAIMS, claim_answers, systems
    from gtr_beir.report.claim_parts import STATED

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
        print(claim_text.markdown(answers, remarks, folder), end="")
    elif options.format == "json":
        print(claim_text.as_json(answers, remarks, folder))
    elif ids:
        print("\n".join(claim_text.in_full(one, folder) for one in answers), end="")
    else:
        print(claim_text.overview(answers, remarks, folder), end="")


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)
