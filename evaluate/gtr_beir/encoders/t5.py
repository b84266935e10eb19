"""GTR's forward pass over packed texts: T5 encoder, mean, Dense, L2 (arXiv 2112.07899).

Texts of a batch lie one after the other in one matrix of token states, without padding, so that
every linear layer is one product; only attention looks at texts one by one. The products run in
fp32, tf32, bf16 or fp16; token states (the residual sum), norms, pooling, Dense and L2 are always
fp32. In fp16 nothing overflows, whatever the texts: `encoders.ranges` proves it from the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

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
from gtr_beir.encoders.linear import HalfMatrix, Matrix, Product, RoundingMatrix
from gtr_beir.encoders.precision import DTYPES, arithmetic, products_of, round_to
from gtr_beir.encoders.ranges import (
    OutOfRangeError,
    require_normed,
    require_reach,
    require_weights,
    shrink,
)

CPU_BATCH_TOKENS = 2048
GPU_BATCH_TOKENS = 32_768
_FLEX_BLOCK = 128
_LONGEST_SHARED = 256
"""Tokens above which texts of one length no longer share products: the bias is copied for each."""
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
            self.products != "bf16" or self.device.type != "cpu" or _fast_bf16_attention()
        )
        self._normed = _normed
        if flex if flex is not None else self.device.type == "cuda":
            self._use_flex()

    def _load(self, arrays: GtrArrays, dtype: str) -> list[_Layer]:
        """The layers, with weights rounded to `dtype`; OutOfRangeError if that is not safe."""

        def array(name: str, layer: int) -> torch.Tensor:
            values = arrays.tensor(name.format(layer))
            return values.to(device=self.device, dtype=torch.float32)

        def layer(number: int) -> _Layer:
            return _Layer(
                array(ATTENTION_NORM, number),
                tuple(array(name, number) for name in (QUERY, KEY, VALUE)),
                array(OUT, number),
                array(MLP_NORM, number),
                array(MLP_IN, number),
                array(MLP_OUT, number),
                _Precision(dtype, self.products, self.device),
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
        states = self._embedding[_sent(ids, self.device)]
        with arithmetic(self.products, self.device):
            for layer in self._layers:
                normed = self._normed(states, self.shape.epsilon, layer.attention_norm, self._dtype)
                # A state of single precision takes the sum, whatever the result's precision is.
                states.add_(layer.out(attend(layer.joined(normed))), alpha=layer.out_grows)
                normed = self._normed(states, self.shape.epsilon, layer.mlp_norm, self._dtype)
                hidden = layer.mlp_in(normed, relu=True)
                states.add_(layer.mlp_out(hidden), alpha=layer.mlp_grows)
        states = self._normed(states, self.shape.epsilon, None, torch.float32)[: sum(lengths)]
        counts = _sent(torch.tensor(lengths), self.device)
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
            size = -(-self.batch_tokens // share // _FLEX_BLOCK) * _FLEX_BLOCK
            if tokens <= size:
                return size
        return -(-tokens // _FLEX_BLOCK) * _FLEX_BLOCK

    def _attention(self, lengths: list[int], filled: int) -> Attention:
        if self._compiled is not None:
            return self._flex_attention(lengths, filled)
        longest = max(lengths, default=0)
        if self._wide_bias.shape[1] < longest:
            self._wide_bias = bias_matrix(self._bias, longest).to(self._dtype)
        return _ByText(lengths, self._wide_bias, fused=self._fused, rounded_to=self._rounded_to)

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
        block_mask = _own_text_only(lengths, filled, self.device)

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


@dataclass(frozen=True)
class _Precision:
    """What weights are rounded to (`dtype`), what products run in, and where."""

    dtype: str
    products: str
    device: torch.device

    @property
    def folds(self) -> bool:
        """Whether the weights of norms are multiplied into the matrices behind them, which changes
        nothing but the last bits. The hub's matrices are stored in fp16: in fp16 and tf32 they are
        exact as they are."""
        return self.dtype in ("fp32", "bf16")

    def matrix(self, weight: torch.Tensor) -> Product:
        if self.products == "tf32" and self.device.type == "cpu":
            return RoundingMatrix(weight, "tf32")
        # A GPU rounds to tf32 itself.
        same = self.dtype == self.products == "tf32"
        return Matrix((weight if same else round_to(weight, self.dtype)).to(DTYPES[self.products]))


class _Layer:
    """One layer's products, and what is between them: weights of norms (None: folded into the
    matrices), and powers of two that results are multiplied with (`encoders.ranges`)."""

    def __init__(
        self,
        attention_norm: torch.Tensor,
        joined: Sequence[torch.Tensor],
        out: torch.Tensor,
        mlp_norm: torch.Tensor,
        mlp_in: torch.Tensor,
        mlp_out: torch.Tensor,
        precision: _Precision,
        name: str,
    ):
        self.out_grows = self.mlp_grows = 1.0
        self.attention_norm: torch.Tensor | None = None
        self.mlp_norm: torch.Tensor | None = None
        if precision.folds:
            joined = [torch.cat(list(joined)).mul_(attention_norm)]
            mlp_in = mlp_in * mlp_norm
        else:
            self.attention_norm, self.mlp_norm = attention_norm, mlp_norm
        self.joined: Product
        self.out: Product
        self.mlp_in: Product
        self.mlp_out: Product
        of_values = of_hidden = 1.0
        if precision.dtype == "fp16":
            # Also where the products are others: the weights are rounded to it.
            of_values, of_hidden = self._prove(joined, out, mlp_in, mlp_out, name)
        if precision.products == "fp16":
            self.out_grows, self.mlp_grows = 1 / of_values, 1 / of_hidden
            powers = [1.0, 1.0, of_values]
            self.joined = HalfMatrix(torch.cat(list(joined)), shrink=_powers(joined, powers))
            self.out = HalfMatrix(out, wide=True)
            self.mlp_in = HalfMatrix(mlp_in, shrink=_powers([mlp_in], [of_hidden]))
            self.mlp_out = HalfMatrix(mlp_out, wide=True)
        else:
            self.joined = precision.matrix(torch.cat(list(joined)))
            self.out, self.mlp_out = precision.matrix(out), precision.matrix(mlp_out)
            self.mlp_in = precision.matrix(mlp_in)
        self.matrices = (self.joined, self.out, self.mlp_in, self.mlp_out)

    def _prove(
        self,
        joined: Sequence[torch.Tensor],
        out: torch.Tensor,
        mlp_in: torch.Tensor,
        mlp_out: torch.Tensor,
        name: str,
    ) -> tuple[float, float]:
        """What values and hidden values are multiplied with to stay in range; OutOfRangeError where
        fp16 is not safe."""
        norm, mlp_norm = self.attention_norm, self.mlp_norm
        assert norm is not None
        assert mlp_norm is not None
        for weights in (*joined, out, mlp_in, mlp_out):
            require_weights(weights, name)
        require_normed(norm, f"the first norm of {name}")
        require_normed(mlp_norm, f"the second norm of {name}")
        queries, keys, values = joined
        require_reach(queries, norm, f"a query of {name}")
        require_reach(keys, norm, f"a key of {name}")
        of_hidden = shrink(mlp_in, mlp_norm, f"a hidden value of {name}")
        return shrink(values, norm, f"a value of {name}"), of_hidden


def _powers(weights: Sequence[torch.Tensor], powers: Sequence[float]) -> torch.Tensor | None:
    """float32[rows of all weights]: the power that belongs to each; None where all are 1."""
    if all(power == 1 for power in powers):
        return None
    each = zip(weights, powers, strict=True)
    return torch.cat([weight.new_full((len(weight),), power) for weight, power in each])


class _ByText:
    """Attention within each text: one call for all heads of all texts of one length.

    rounded_to: a precision that operands of products are rounded to, which stay in fp32.
    """

    def __init__(
        self, lengths: list[int], bias: torch.Tensor, *, fused: bool, rounded_to: str | None
    ):
        self._heads, self._bias, self._fused = bias.shape[0], bias, fused
        self._rounded_to = rounded_to or "fp32"
        self._groups: list[tuple[int, int, int]] = []
        start = 0
        for length in lengths:
            if length == 0:
                continue
            last = self._groups[-1] if self._groups else (0, 0, 0)
            if last[2] == length and (fused or length <= _LONGEST_SHARED):
                self._groups[-1] = (last[0], last[1] + 1, length)
            else:
                self._groups.append((start, 1, length))
            start += length
        self._tokens = start

    def __call__(self, joined: torch.Tensor) -> torch.Tensor:
        mixed = joined.new_empty((joined.shape[0], joined.shape[1] // 3))
        attend = self._fused_kernel if self._fused else self._products
        mixed[self._tokens :] = 0
        for start, texts, length in self._groups:
            rows = slice(start, start + texts * length)
            parts = joined[rows].view(texts, length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            found = attend(parts, self._bias[:, :length, :length])
            mixed[rows].view(texts, length, self._heads, -1).copy_(found.transpose(1, 2))
        return mixed

    @staticmethod
    def _fused_kernel(parts: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return functional.scaled_dot_product_attention(
            parts[0], parts[1], parts[2], attn_mask=bias.unsqueeze(0), scale=1.0
        )

    def _products(self, parts: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        _, texts, heads, length, width = parts.shape
        rounded = (round_to(part, self._rounded_to) for part in parts)
        queries, keys, values = (part.reshape(-1, length, width) for part in rounded)
        if texts > 1:
            bias = bias.repeat(texts, 1, 1)
        weights = torch.baddbmm(bias, queries, keys.transpose(1, 2)).softmax(dim=-1)
        weights = round_to(weights, self._rounded_to)
        return torch.bmm(weights, values).view(texts, heads, length, width)


def _normed(
    states: torch.Tensor, epsilon: float, weight: torch.Tensor | None, dtype: torch.dtype
) -> torch.Tensor:
    """T5's norm (None: without its weight): no mean is taken off, no bias added."""
    squares = torch.linalg.vector_norm(states, dim=-1, keepdim=True).square()
    normed = states * torch.rsqrt(squares / states.shape[-1] + epsilon)
    return (normed if weight is None else normed * weight).to(dtype)


def _sent(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """On the device, without waiting for it where that can be."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors of length 1; one whose length is beyond single precision becomes NaN, not zero."""
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    lengths = lengths.masked_fill(lengths.isinf(), torch.nan)
    unit: torch.Tensor = vectors / lengths.clamp(min=1e-12)
    return unit


def _fast_bf16_attention() -> bool:
    """Whether torch's fused attention is the faster one in bf16 on this CPU: where it has matrix
    units (AMX). Elsewhere two products and a softmax are about twice as fast."""
    supported = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(supported and supported())


def position_buckets(buckets: int, max_distance: int) -> torch.Tensor:
    """int64[2 x max_distance + 1]: the bucket of key position minus query position, from
    -max_distance to max_distance; further away is the same as at the end.

    The rule of T5 (arXiv 1910.10683, section 2.1): half of the buckets for each direction; of
    these, half for exact distances and half for ranges that grow with the logarithm.
    """
    distance = torch.arange(-max_distance, max_distance + 1)
    one_way = buckets // 2
    exact = one_way // 2
    apart = distance.abs()
    # In single precision, as T5 itself: at a border the last bit decides.
    grown = torch.log(apart.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    far = (exact + (grown * (one_way - exact)).long()).clamp(max=one_way - 1)
    return torch.where(apart < exact, apart, far) + (distance > 0).long() * one_way


def position_bias(table: torch.Tensor, max_distance: int) -> torch.Tensor:
    """[buckets, heads] -> [heads, 2 x max_distance + 1], by key position minus query position."""
    buckets = position_buckets(table.shape[0], max_distance).to(table.device)
    return table[buckets].t().contiguous()


def bias_matrix(bias: torch.Tensor, length: int) -> torch.Tensor:
    """[heads, length, length] (query, key) of what `position_bias` gave."""
    reach = bias.shape[1] // 2
    place = torch.arange(length, device=bias.device)
    apart = (place.unsqueeze(0) - place.unsqueeze(1)).clamp(-reach, reach)
    return bias[:, apart + reach]


def _own_text_only(lengths: list[int], filled: int, device: torch.device) -> Any:
    """FlexAttention's mask: a text sees itself, and a block of queries these blocks of keys.

    Built from the lengths alone: asking for every pair of rows would take filled x filled bytes.
    """
    from torch.nn.attention.flex_attention import BlockMask

    sizes = [n for n in lengths if n]
    # What fills the batch up is many short texts: one long one would attend to all of itself.
    filler = filled - sum(lengths)
    sizes += [part for part in [filler % _FLEX_BLOCK] if part]
    sizes += [_FLEX_BLOCK] * (filler // _FLEX_BLOCK)
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    ends = torch.tensor(sizes).cumsum(0)
    starts = ends - torch.tensor(sizes)
    blocks = -(-filled // _FLEX_BLOCK)
    first_row = torch.arange(blocks) * _FLEX_BLOCK
    last_row = (first_row + _FLEX_BLOCK - 1).clamp(max=filled - 1)
    low = starts[owner[first_row]] // _FLEX_BLOCK
    high = (ends[owner[last_row]] - 1) // _FLEX_BLOCK
    places = (low.unsqueeze(1) + torch.arange(blocks)).clamp(max=blocks - 1)
    owner = _sent(owner, device)

    def same_text(
        _batch: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        return owner[query] == owner[key]

    return BlockMask.from_kv_blocks(
        _sent((high - low + 1).to(torch.int32).view(1, 1, -1), device),
        _sent(places.to(torch.int32).view(1, 1, blocks, blocks), device),
        BLOCK_SIZE=_FLEX_BLOCK,
        mask_mod=same_text,
        seq_lengths=(filled, filled),
    )
