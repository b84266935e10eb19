"""The program: `gtr-beir`, or `python -m gtr_beir`."""

import sys
from collections.abc import Sequence

from gtr_beir import process


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the command line, or the demonstration; returns the exit code.

    Without arguments they are those of the process, whose signals and streams are taken in hand.
    """
    if arguments is None:
        process.leave_when_told()
        process.guard_streams()
    from gtr_beir import cli
    from gtr_beir.demo.tour import add_demo

    if arguments is not None:
        return cli.main(arguments, further=[add_demo])
    process.stop_when_told()
    try:
        code = cli.main(further=[add_demo])
    except SystemExit as asked:  # --help, --version, wrong options
        code = asked.code if isinstance(asked.code, int) else int(asked.code is not None)
    process.leave_when_told(quietly=True)
    return process.told(code)


if __name__ == "__main__":
    sys.exit(main())
