"""Write a GTR checkpoint of any readable form as a sentence-transformers folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from gtr_beir.checkpoints.layout import DENSE, GtrArrays
from gtr_beir.checkpoints.tokenizer import TransformersTokenizer
from gtr_beir.errors import UsageError
from gtr_beir.files import atomic_folder, sync_file
from gtr_beir.lengths import Kind

_SHARD_BYTES = 4 << 30
_MODULES = (
    ("Transformer", ""),
    ("Pooling", "1_Pooling"),
    ("Dense", "2_Dense"),
    ("Normalize", "3_Normalize"),
)


def write_folder(
    arrays: GtrArrays,
    tokenizer: TransformersTokenizer,
    out: Path,
    *,
    own_length: int,
    prompts: Mapping[Kind, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write encoder, pooling, Dense and L2 as float32 safetensors, with transformers' `tokenizer`;
    `own_length`: the tokens that it says a text may have; `prompts`: before "query" and "document".
    Shards hold 4 GiB.

    `out` must not be there, or be empty; it is whole or not there at all.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists already; name a new folder")
    with atomic_folder(out) as folder:
        tokenizer.save_pretrained(folder)
        modules = [
            {
                "idx": number,
                "name": str(number),
                "path": path,
                "type": f"sentence_transformers.models.{name}",
            }
            for number, (name, path) in enumerate(_MODULES)
        ]
        _json(folder / "modules.json", modules)
        _json(
            folder / "sentence_bert_config.json",
            {"max_seq_length": own_length, "do_lower_case": False},
        )
        _json(
            folder / "config_sentence_transformers.json",
            {"similarity_fn_name": "cosine", "prompts": dict(prompts or {})},
        )
        _json(folder / "config.json", _config(arrays, tokenizer))
        pooling = folder / "1_Pooling"
        pooling.mkdir()
        _json(
            pooling / "config.json",
            {"word_embedding_dimension": arrays.shape.width, "pooling_mode_mean_tokens": True},
        )
        (folder / "3_Normalize").mkdir()
        dense = folder / "2_Dense"
        dense.mkdir()
        _json(
            dense / "config.json",
            {
                "in_features": arrays.shape.width,
                "out_features": arrays.shape.dimension,
                "bias": False,
                "activation_function": "torch.nn.modules.linear.Identity",
            },
        )
        _save({"linear.weight": _full(arrays, DENSE)}, dense / "model.safetensors")
        _write_encoder(arrays, folder, say)


def _write_encoder(arrays: GtrArrays, folder: Path, say: Callable[[str], None]) -> None:
    sizes = {name: sizes for name, sizes in arrays.shape.arrays().items() if name != DENSE}
    shards: list[list[str]] = [[]]
    filled = 0
    for name, dimensions in sizes.items():
        size = 4 * int(torch.Size(dimensions).numel())
        if filled + size > _SHARD_BYTES and shards[-1]:
            shards.append([])
            filled = 0
        shards[-1].append(name)
        filled += size
    places: dict[str, str] = {}
    for number, names in enumerate(shards, start=1):
        file = (
            "model.safetensors"
            if len(shards) == 1
            else f"model-{number:05}-of-{len(shards):05}.safetensors"
        )
        _save({name: _full(arrays, name) for name in names}, folder / file)
        say(f"wrote {file} ({number} of {len(shards)})")
        places |= dict.fromkeys(names, file)
    if len(shards) > 1:
        total = 4 * sum(int(torch.Size(dimensions).numel()) for dimensions in sizes.values())
        _json(
            folder / "model.safetensors.index.json",
            {"metadata": {"total_size": total}, "weight_map": places},
        )


def _config(arrays: GtrArrays, tokenizer: TransformersTokenizer) -> dict[str, Any]:
    shape = arrays.shape
    return {
        "architectures": ["T5EncoderModel"],
        "model_type": "t5",
        "d_ff": shape.hidden,
        "d_kv": shape.head_width,
        "d_model": shape.width,
        "num_heads": shape.heads,
        "num_layers": shape.layers,
        "num_decoder_layers": shape.layers,
        "vocab_size": shape.vocabulary,
        "relative_attention_num_buckets": shape.buckets,
        "relative_attention_max_distance": shape.max_distance,
        "layer_norm_epsilon": shape.epsilon,
        "feed_forward_proj": "relu",
        "dropout_rate": 0.1,
        "initializer_factor": 1.0,
        "is_encoder_decoder": False,
        "use_cache": False,
        "dtype": "float32",
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }


def _full(arrays: GtrArrays, name: str) -> torch.Tensor:
    return arrays.tensor(name).to(torch.float32).contiguous()


def _save(tensors: dict[str, torch.Tensor], file: Path) -> None:
    from safetensors.torch import save_file

    save_file(tensors, file, metadata={"format": "pt"})
    sync_file(file)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    sync_file(path)
