"""The embedded demonstration: a small BEIR-format dataset and a toy checkpoint in GTR's layout.

Both exist so that the whole way from texts to a leaderboard can be walked in a minute, without a
network or a GPU. The dataset is in `DATASET_DIR`, the checkpoint in `CHECKPOINT_DIR`; what they
are, and why scores on them say nothing about GTR, is told in the README beside each.
"""

from pathlib import Path

DATASET_DIR = Path(__file__).resolve().parent / "dataset"
CHECKPOINT_DIR = Path(__file__).resolve().parent / "checkpoint"
