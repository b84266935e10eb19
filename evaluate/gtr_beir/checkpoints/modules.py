"""The modules that modules.json names: what describes each is there, and is understood.

Libraries take what is missing or unknown by default, with a warning or without a word: that gives
other vectors than the checkpoint's. Such a folder is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gtr_beir.checkpoints.weights import configuration
from gtr_beir.errors import CheckpointError

_DESCRIBED = ("Pooling", "Dense", "MultiVectorMask", "LayerNorm", "CNN", "LSTM")
"""Modules that cannot be made without the file that describes them."""
_ACTIVATION = re.compile(r"torch\.nn\.(?:modules\.(?:\w+\.)?)?(\w+)")
_FILES = {"CNN": "cnn_config.json", "LSTM": "lstm_config.json"}
_LENGTHS = "sentence_bert_config.json"


def require_understood(
    path: Path, modules: Sequence[tuple[str, Path]], *, token_vectors: bool = False
) -> None:
    """CheckpointError for a module whose description is missing or is not understood.

    modules: (type, folder), in order; token_vectors: of a MultiVectorEncoder, whose lengths and
    normalisation are described too, and whose defaults are those of sentence vectors.
    """
    for kind, folder in modules:
        name = kind.rpartition(".")[2]
        file = folder / _FILES.get(name, "config.json")
        described = name in _DESCRIBED or (token_vectors and name == "Normalize")
        if described and not file.is_file():
            raise CheckpointError(
                f"{path}/modules.json names the module {name}, and {file}, which describes it, is "
                "missing; get the checkpoint again"
            )
        if name == "Dense":
            _require_activation(file)
    if token_vectors and modules:
        lengths = modules[0][1] / _LENGTHS
        if not lengths.is_file():
            raise CheckpointError(
                f"{lengths}, which has the lengths of queries and documents, is missing; get the "
                "checkpoint again"
            )
        configuration(lengths)


def require_plain(config: dict[str, Any], file: Path) -> None:
    """CheckpointError for a transformer that asks for code of its own, or is quantised."""
    if config.get("auto_map"):
        raise CheckpointError(f"{file} asks for code of its own (auto_map), which is not run")
    if config.get("quantization_config"):
        raise CheckpointError(
            f"{file} describes quantised weights, which are not read; use a checkpoint in float32, "
            "bfloat16 or float16"
        )


def _require_activation(file: Path) -> None:
    import torch

    about = configuration(file)
    named = about.get("activation_function", "torch.nn.Tanh")
    if named == "Identity":
        return
    found = _ACTIVATION.fullmatch(named) if isinstance(named, str) else None
    kind = None if found is None else getattr(torch.nn, found[1], None)
    if not (isinstance(kind, type) and issubclass(kind, torch.nn.Module)):
        raise CheckpointError(
            f"{file} asks for the activation function {str(named)[:80]}, which is not known; only "
            "those of torch.nn are"
        )
