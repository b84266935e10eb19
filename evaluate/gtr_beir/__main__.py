"""`python -m gtr_beir` is `gtr-beir`."""

import sys

from gtr_beir.cli import main

if __name__ == "__main__":
    sys.exit(main())
