"""GTR's layout: what arrays a checkpoint of some shape has, and what the released ones are.

GTR is the encoder of T5 1.0 (ReLU, attention logits not scaled), the mean over all tokens, a Dense
layer without bias, and L2 normalisation (arXiv 2112.07899). Every form in which a checkpoint comes
is brought to the array names of this module, which are those of transformers' T5EncoderModel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Protocol

from gtr_beir.errors import CheckpointError

if TYPE_CHECKING:
    import torch

GTR_PARTS = "T5 encoder, mean pooling, Dense without bias, L2 normalisation"
EMBEDDING = "shared.weight"
FINAL_NORM = "encoder.final_layer_norm.weight"
POSITIONS = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
DENSE = "dense.weight"
"""So only here: in a sentence-transformers folder it is `linear.weight` of the Dense module."""

ATTENTION_NORM = "encoder.block.{}.layer.0.layer_norm.weight"
QUERY = "encoder.block.{}.layer.0.SelfAttention.q.weight"
KEY = "encoder.block.{}.layer.0.SelfAttention.k.weight"
VALUE = "encoder.block.{}.layer.0.SelfAttention.v.weight"
OUT = "encoder.block.{}.layer.0.SelfAttention.o.weight"
MLP_NORM = "encoder.block.{}.layer.1.layer_norm.weight"
MLP_IN = "encoder.block.{}.layer.1.DenseReluDense.wi.weight"
MLP_OUT = "encoder.block.{}.layer.1.DenseReluDense.wo.weight"


@dataclass(frozen=True)
class GtrShape:
    """The sizes of a GTR checkpoint.

    width: of the token states (d_model); heads, head_width: of the attention; hidden: width of the
    MLP (d_ff); buckets, max_distance: of the relative positions; dimension: of the embedding.
    """

    layers: int
    width: int
    heads: int
    head_width: int
    hidden: int
    dimension: int = 768
    vocabulary: int = 32_128
    buckets: int = 32
    max_distance: int = 128
    epsilon: float = 1e-6

    @property
    def inner(self) -> int:
        """Width of queries, keys and values of all heads."""
        return self.heads * self.head_width

    @property
    def parameters(self) -> int:
        return sum(prod(sizes) for sizes in self.arrays().values())

    def arrays(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every array; matrices are [out, in]."""
        arrays: dict[str, tuple[int, ...]] = {
            EMBEDDING: (self.vocabulary, self.width),
            POSITIONS: (self.buckets, self.heads),
            FINAL_NORM: (self.width,),
            DENSE: (self.dimension, self.width),
        }
        for layer in range(self.layers):
            arrays |= {
                ATTENTION_NORM.format(layer): (self.width,),
                QUERY.format(layer): (self.inner, self.width),
                KEY.format(layer): (self.inner, self.width),
                VALUE.format(layer): (self.inner, self.width),
                OUT.format(layer): (self.width, self.inner),
                MLP_NORM.format(layer): (self.width,),
                MLP_IN.format(layer): (self.hidden, self.width),
                MLP_OUT.format(layer): (self.width, self.hidden),
            }
        return arrays

    def operations(self, tokens: Iterable[int]) -> int:
        """Floating-point operations to encode texts of so many tokens: 2 a multiply-add, of the
        linear layers and of the attention over each text; norms and the like are left out."""
        linear = 2 * self.layers * (4 * self.width * self.inner + 2 * self.width * self.hidden)
        attention = 4 * self.layers * self.inner
        return sum(n * linear + n * n * attention for n in tokens)


PROBE = "translate English to German: The house is wonderful."
T5_PROBE = (13959, 1566, 12, 2968, 10, 37, 629, 19, 1627, 5, 1)
"""A sentence, and its tokens in T5's own vocabulary, as transformers' documentation prints them."""


@dataclass(frozen=True)
class Released:
    """A checkpoint that GTR's authors released: where it is on the Hugging Face hub, and at which
    commit; parameters: of encoder and Dense layer together; encoder, dense: SHA-256 of the files
    that hold their weights on the hub (safetensors and .bin), as its pages state them, as far as
    they were seen (gtr-base's Dense was not); probe: the tokens of PROBE."""

    hub: str
    revision: str
    parameters: int
    shape: GtrShape
    encoder: frozenset[str]
    dense: frozenset[str] = frozenset()
    probe: tuple[int, ...] = T5_PROBE


RELEASED: Mapping[str, Released] = {
    "gtr-base": Released(
        "sentence-transformers/gtr-t5-base",
        "7027e9594267928589816394bdd295273ddc0739",
        110_218_368,
        GtrShape(layers=12, width=768, heads=12, head_width=64, hidden=3072),
        encoder=frozenset(
            {
                "09fb3d444f67e758ee202396e36971d94d6da970f0283fd21b9c1348f361bcb4",
                "fd78a39e92ec5e96213ad3284d95360ba13c020bbda0841479b369612b19964c",
            }
        ),
    ),
    "gtr-large": Released(
        "sentence-transformers/gtr-t5-large",
        "a2c8ac47f998531948d4cbe32a0b577a7037a5e3",
        335_726_080,
        GtrShape(layers=24, width=1024, heads=16, head_width=64, hidden=4096),
        encoder=frozenset(
            {
                "343a4c00af04c29bbcbbb21bf504733e19dd9860d4b3d103ebf831ba224b6922",
                "fc6840ebeca8b1e46d02e12514a20dfe090fffd13d9ad053f5ae4eeff777fdbc",
            }
        ),
        dense=frozenset(
            {
                "a58f8e47f07464976d63390611aed4ae8dd285fea54f480bb9d14581cf73c709",
            }
        ),
    ),
    "gtr-xl": Released(
        "sentence-transformers/gtr-t5-xl",
        "23a8d667a1ad2578af181ce762867003c498d1bf",
        1_241_696_256,
        GtrShape(layers=24, width=1024, heads=32, head_width=128, hidden=16_384),
        encoder=frozenset(
            {
                "c67c3981f6dc741ffa78260832c5c3c5d81810b35605289c9be5bc0ffd9ed952",
                "e17ad93cdb1f5c57b3a0aa19715fd4860a84a99ebb0ded13c0df0ceebe4ec2fa",
            }
        ),
        dense=frozenset(
            {
                "169cc142766c83b2f30e883775e20059fe6b9a75002676ecd60a26c1d4ecc5af",
            }
        ),
    ),
    "gtr-xxl": Released(
        "sentence-transformers/gtr-t5-xxl",
        "73f2a9156a3dcc2194dfdb2bf201cd7d17e17884",
        4_865_577_984,
        GtrShape(layers=24, width=1024, heads=128, head_width=128, hidden=65_536),
        encoder=frozenset(
            {
                "d467391560f6bbca2353237e72b7dd9e5bac52426f4eb3f8e69221dd64576a15",
                "d91e787d70c255d756e693fd208887203cdcd43a0775131b7c95c80501a91035",
            }
        ),
        dense=frozenset(
            {
                "9c1092fe81d627f075f74a8e1e16b1e30e390dfd236c5d8d0ecb4907da6981cb",
                "e5dbf3a9f8e11ab7d6d8007fcbb91fcefe5618c5358e3499bb66fb84fd0b29ba",
            }
        ),
    ),
}


COLBERT = "colbert-ir/colbertv2.0"
COLBERT_REVISIONS: Mapping[str, str] = {COLBERT: "c1e84128e85ef755c096a95bdb06b47793b13acf"}
"""The released ColBERT on the hub, and the commit that its short name stands for."""


READ_TYPES = ("float32", "bfloat16", "float16", "float64")


class GtrArrays(Protocol):
    """A checkpoint's arrays under the names of this module, read one at a time."""

    @property
    def shape(self) -> GtrShape: ...

    @property
    def source(self) -> str:
        """What to call it in messages."""
        ...

    def tensor(self, name: str) -> torch.Tensor:
        """One array as it is stored, on the CPU; CheckpointError if it cannot be read."""
        ...


def difference(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> str | None:
    """What is missing, too much, or of another shape, by name; None if nothing is."""
    problems = [
        (f"lacks {_some(sorted(expected.keys() - found.keys()))}", expected.keys() - found.keys()),
        (
            f"has arrays that GTR does not have: {_some(sorted(found.keys() - expected.keys()))}",
            found.keys() - expected.keys(),
        ),
    ]
    wrong = [
        f"{name} has shape {list(found[name])} instead of {list(expected[name])}"
        for name in sorted(expected.keys() & found.keys())
        if tuple(found[name]) != tuple(expected[name])
    ]
    told = [text for text, names in problems if names]
    if wrong:
        told.append(_some(wrong))
    return ", and ".join(told) or None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def require_usable(name: str, tensor: torch.Tensor, source: str) -> torch.Tensor:
    """The array, if it is of a floating type that is read, and finite; CheckpointError
    otherwise."""
    kind = str(tensor.dtype).removeprefix("torch.")
    if kind not in READ_TYPES:
        raise CheckpointError(
            f"{source}: the array {name} is of type {kind}, which is not a floating-point type "
            "that is read; use a checkpoint in float32, bfloat16 or float16"
        )
    if not bool(tensor.isfinite().all()):
        raise CheckpointError(
            f"{source}: the array {name} has values that are not finite; get or save the "
            "checkpoint again"
        )
    return tensor
