"""The embedded demonstration: a small BEIR-format dataset, a toy GTR and a toy ColBERT.

They exist so that the whole way from texts to a leaderboard can be walked in a minute, without a
network or a GPU. The dataset is in `DATASET_DIR`, the checkpoints in `CHECKPOINT_DIR` and
`COLBERT_DIR`; what they are, and why scores on them say nothing about GTR or ColBERT, is told in
the README beside them.
"""

from pathlib import Path

DATASET_DIR = Path(__file__).resolve().parent / "dataset"
CHECKPOINT_DIR = Path(__file__).resolve().parent / "checkpoint"
COLBERT_DIR = Path(__file__).resolve().parent / "colbert"
