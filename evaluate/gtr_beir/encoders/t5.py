"""GTR's forward pass over packed texts: T5 encoder, mean, Dense, L2 (arXiv 2112.07899).

Texts of a batch lie one after the other in one matrix of token states, without padding, so that
every linear layer is one product; only attention looks at texts one by one. The products run in
fp32, tf32, bf16 or fp16; token states (the residual sum), norms, pooling, Dense and L2 are always
fp32. In fp16 nothing overflows, whatever the texts: `encoders.ranges` proves it from the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from gtr_beir.checkpoints.layout import (
    ATTENTION_NORM,
    DENSE,
    EMBEDDING,
    FINAL_NORM,
    KEY,
    MLP_IN,
    MLP_NORM,
    MLP_OUT,
    OUT,
    POSITIONS,
    QUERY,
    VALUE,
    GtrArrays,
    GtrShape,
)
from gtr_beir.encoders.devices import sent
from gtr_beir.encoders.linear import Matrix, Product
from gtr_beir.encoders.precision import DTYPES, arithmetic, products_of
from gtr_beir.encoders.ranges import OutOfRangeError, require_weights
from gtr_beir.encoders.t5_attention import (
    FLEX_BLOCK,
    ByText,
    bias_matrix,
    fast_bf16_attention,
    own_text_only,
    position_bias,
)
from gtr_beir.encoders.t5_layer import Layer, Precision

CPU_BATCH_TOKENS = 2048
GPU_BATCH_TOKENS = 32_768
_ROWS = 64
_SHARES = (16, 4, 2, 1)
"""On a GPU a batch is filled up to one of these parts of the budget: four shapes to compile."""
_COMPILATIONS = 64
"""More than the shapes of all models that one process is likely to load."""


def weights_bytes(shape: GtrShape, products: str) -> int:
    """What a checkpoint takes in memory: matrices in the precision of the products; embedding table
    and Dense are kept in fp32."""
    single = shape.vocabulary * shape.width + shape.dimension * shape.width
    return 4 * single + (shape.parameters - single) * (2 if products in ("bf16", "fp16") else 4)


Attention = Callable[[torch.Tensor], torch.Tensor]
"""[tokens, 3 x inner] (queries, keys, values) -> [tokens, inner]"""


class T5Model:
    """A GTR checkpoint ready to encode on one device.

    `flex` chooses the attention kernel; None: FlexAttention on a GPU where it works, text by text
    elsewhere. `products`: the precision of products, in place of the one that `dtype` has on the
    device; a CPU takes tf32 and fp16 by rounding operands, which is slow and only shows their
    error. Where fp16 is not proven to be safe everything is as in fp32, and `unproven` says why.
    """

    packs = True

    @torch.inference_mode()
    def __init__(
        self,
        arrays: GtrArrays,
        *,
        dtype: str,
        device: str,
        flex: bool | None = None,
        products: str | None = None,
    ):
        shape = arrays.shape
        self.shape, self.dimension = shape, shape.dimension
        self.device = torch.device(device)
        self.products = products or products_of(dtype, self.device)
        self.parameters = shape.parameters
        self.batch_tokens = CPU_BATCH_TOKENS if self.device.type == "cpu" else GPU_BATCH_TOKENS
        self.unproven: str | None = None
        try:
            if dtype == "fp16":
                require_weights(arrays.tensor(POSITIONS), "the position bias")
            self._layers = self._load(arrays, dtype)
        except OutOfRangeError as found:
            self.unproven = f"fp16 is not safe for this checkpoint ({found}), so all of it is fp32"
            self.products = "fp32"
            self._layers = self._load(arrays, "fp32")
        self.weights_bytes = weights_bytes(shape, self.products)
        self._dtype = DTYPES[self.products]
        rounds = self.products == "tf32" and self.device.type == "cpu"
        self._rounded_to = self.products if rounds else None

        def array(name: str) -> torch.Tensor:
            return arrays.tensor(name).to(device=self.device, dtype=torch.float32)

        self._embedding = array(EMBEDDING)
        # Laid out like the others: with few rows torch's own product depends on the threads.
        self._dense = Matrix(array(DENSE) * array(FINAL_NORM))
        self._bias = position_bias(array(POSITIONS), shape.max_distance)
        self._wide_bias = self._bias.new_empty((shape.heads, 0, 0), dtype=self._dtype)
        self._compiled: Any = None
        self.without_flex: str | None = None
        self._fused = not rounds and (
            self.products != "bf16" or self.device.type != "cpu" or fast_bf16_attention()
        )
        self._normed = _normed
        if flex if flex is not None else self.device.type == "cuda":
            self._use_flex()

    def _load(self, arrays: GtrArrays, dtype: str) -> list[Layer]:
        """The layers, with weights rounded to `dtype`; OutOfRangeError if that is not safe."""

        def array(name: str, layer: int) -> torch.Tensor:
            values = arrays.tensor(name.format(layer))
            return values.to(device=self.device, dtype=torch.float32)

        def layer(number: int) -> Layer:
            return Layer(
                array(ATTENTION_NORM, number),
                tuple(array(name, number) for name in (QUERY, KEY, VALUE)),
                array(OUT, number),
                array(MLP_NORM, number),
                array(MLP_IN, number),
                array(MLP_OUT, number),
                Precision(dtype, self.products, self.device),
                f"layer {number + 1}",
            )

        return [layer(number) for number in range(arrays.shape.layers)]

    @property
    def laid_out_layers(self) -> int:
        """How many matrices are in oneDNN's layout."""
        matrices: list[Product] = [self._dense]
        matrices += [matrix for layer in self._layers for matrix in layer.matrices]
        return sum(matrix.is_laid_out for matrix in matrices)

    @property
    def attention(self) -> str:
        """Which kernel: "flex", "fused" or "products"; it decides the last bits of vectors."""
        if self._compiled is not None:
            return "flex"
        return "fused" if self._fused else "products"

    @torch.inference_mode()
    def forward(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """Token ids of texts -> float32[n, dimension] of length 1, on the device.

        The order of the texts makes no difference; equal lengths side by side are faster.
        """
        lengths = [len(sequence) for sequence in sequences]
        if not any(lengths):
            return torch.zeros((len(lengths), self.dimension), device=self.device)
        filled = self._filled(sum(lengths))
        ids = torch.zeros(filled, dtype=torch.long)
        ids[: sum(lengths)] = torch.tensor([i for s in sequences for i in s], dtype=torch.long)
        attend = self._attention(lengths, filled)
        states = self._embedding[sent(ids, self.device)]
        with arithmetic(self.products, self.device):
            for layer in self._layers:
                normed = self._normed(states, self.shape.epsilon, layer.attention_norm, self._dtype)
                # A state of single precision takes the sum, whatever the result's precision is.
                states.add_(layer.out(attend(layer.joined(normed))), alpha=layer.out_grows)
                normed = self._normed(states, self.shape.epsilon, layer.mlp_norm, self._dtype)
                hidden = layer.mlp_in(normed, relu=True)
                states.add_(layer.mlp_out(hidden), alpha=layer.mlp_grows)
        states = self._normed(states, self.shape.epsilon, None, torch.float32)[: sum(lengths)]
        counts = sent(torch.tensor(lengths), self.device)
        # Unsafe: the lengths are right, and to look at them would wait for a GPU.
        sums = torch.segment_reduce(states, "sum", lengths=counts, axis=0, unsafe=True, initial=0)
        means = sums / counts.clamp(min=1).unsqueeze(1)
        return _unit(self._dense(means))

    def _filled(self, tokens: int) -> int:
        """Rows of the batch: the tokens, rounded up to sizes for which kernels are there already;
        on a GPU to one of a few that FlexAttention is compiled for."""
        if self._compiled is None:
            return -(-tokens // _ROWS) * _ROWS
        for share in _SHARES:
            size = -(-self.batch_tokens // share // FLEX_BLOCK) * FLEX_BLOCK
            if tokens <= size:
                return size
        return -(-tokens // FLEX_BLOCK) * FLEX_BLOCK

    def _attention(self, lengths: list[int], filled: int) -> Attention:
        if self._compiled is not None:
            return self._flex_attention(lengths, filled)
        longest = max(lengths, default=0)
        if self._wide_bias.shape[1] < longest:
            self._wide_bias = bias_matrix(self._bias, longest).to(self._dtype)
        return ByText(lengths, self._wide_bias, fused=self._fused, rounded_to=self._rounded_to)

    def _use_flex(self) -> None:
        """FlexAttention, compiled on a GPU; if it does not work there, text by text."""
        from torch.nn.attention.flex_attention import flex_attention

        if self.device.type == "cpu":
            self._compiled = flex_attention
            return
        import torch._dynamo

        limit = torch._dynamo.config.recompile_limit
        torch._dynamo.config.recompile_limit = max(limit, _COMPILATIONS)
        self._compiled = torch.compile(flex_attention, dynamic=False)
        self._normed = torch.compile(_normed, dynamic=False)
        try:
            self.forward([[1, 1, 1], [1]])
        except Exception as error:  # no compiler, an old card: what is raised has no one type
            self._compiled, self._normed = None, _normed
            self.without_flex = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"

    def _flex_attention(self, lengths: list[int], filled: int) -> Attention:
        heads, bias, reach = self.shape.heads, self._bias, self.shape.max_distance
        block_mask = own_text_only(lengths, filled, self.device)

        def add_bias(
            score: torch.Tensor,
            _batch: torch.Tensor,
            head: torch.Tensor,
            query: torch.Tensor,
            key: torch.Tensor,
        ) -> torch.Tensor:
            return score + bias[head, (key - query).clamp(-reach, reach) + reach]

        def attend(joined: torch.Tensor) -> torch.Tensor:
            parts = joined.view(1, filled, 3, heads, -1).permute(2, 0, 3, 1, 4)
            mixed = self._compiled(
                parts[0], parts[1], parts[2], score_mod=add_bias, block_mask=block_mask, scale=1.0
            )
            flat: torch.Tensor = mixed.transpose(1, 2).reshape(filled, -1)
            return flat

        return attend


def _normed(
    states: torch.Tensor, epsilon: float, weight: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor:
    """T5's norm (None: without its weight): no mean is taken off, no bias added."""
    squares = torch.linalg.vector_norm(states, dim=-1, keepdim=True).square()
    normed = states * torch.rsqrt(squares / states.shape[-1] + epsilon)
    return (normed if weight is None else normed * weight).to(dtype)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors of length 1; one whose length is beyond single precision becomes NaN, not zero."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    lengths = lengths.masked_fill(lengths.isinf(), torch.nan)
    unit: torch.Tensor = vectors / lengths.clamp(min=1e-12)
    return unit
