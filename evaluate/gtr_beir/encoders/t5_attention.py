"""T5's attention over packed texts: position bias, text by text, and the mask of one for all."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from gtr_beir.encoders.devices import sent
from gtr_beir.encoders.precision import round_to

FLEX_BLOCK = 128
"""Rows of a block of FlexAttention's mask."""
_LONGEST_SHARED = 256
"""Tokens above which texts of one length no longer share products: the bias is copied for each."""


class ByText:
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


def fast_bf16_attention() -> bool:
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


def own_text_only(lengths: list[int], filled: int, device: torch.device) -> Any:
    """FlexAttention's mask: a text sees itself, and a block of queries these blocks of keys.

    Built from the lengths alone: asking for every pair of rows would take filled x filled bytes.
    """
    from torch.nn.attention.flex_attention import BlockMask

    sizes = [n for n in lengths if n]
    # What fills the batch up is many short texts: one long one would attend to all of itself.
    filler = filled - sum(lengths)
    sizes += [part for part in [filler % FLEX_BLOCK] if part]
    sizes += [FLEX_BLOCK] * (filler // FLEX_BLOCK)
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    ends = torch.tensor(sizes).cumsum(0)
    starts = ends - torch.tensor(sizes)
    blocks = -(-filled // FLEX_BLOCK)
    first_row = torch.arange(blocks) * FLEX_BLOCK
    last_row = (first_row + FLEX_BLOCK - 1).clamp(max=filled - 1)
    low = starts[owner[first_row]] // FLEX_BLOCK
    high = (ends[owner[last_row]] - 1) // FLEX_BLOCK
    places = (low.unsqueeze(1) + torch.arange(blocks)).clamp(max=blocks - 1)
    owner = sent(owner, device)

    def same_text(
        _batch: torch.Tensor, _head: torch.Tensor, query: torch.Tensor, key: torch.Tensor
    ) -> torch.Tensor:
        return owner[query] == owner[key]

    return BlockMask.from_kv_blocks(
        sent((high - low + 1).to(torch.int32).view(1, 1, -1), device),
        sent(places.to(torch.int32).view(1, 1, blocks, blocks), device),
        BLOCK_SIZE=FLEX_BLOCK,
        mask_mod=same_text,
        seq_lengths=(filled, filled),
    )
