"""The program: `gtr-beir`, or `python -m gtr_beir`."""

import sys
from collections.abc import Sequence

from gtr_beir import cli
from gtr_beir.demo.tour import add_demo


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the command line, or the demonstration; returns the exit code."""
    return cli.main(arguments, further=[add_demo])


if __name__ == "__main__":
    sys.exit(main())
