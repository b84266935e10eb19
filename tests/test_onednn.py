"""The door to oneDNN's products: right values or none, and rankings that do not depend on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import gtr_beir
from gtr_beir import onednn
from gtr_beir.encoders.linear import Matrix, lay_out_linear_layers
from gtr_beir.ranking import candidates, topk
from gtr_beir.ranking.topk import TopK, dense_top_k

Operator = Callable[..., torch.Tensor]
REAL = SimpleNamespace(
    reorder=getattr(torch.ops.mkldnn, "_reorder_linear_weight", None),
    product=getattr(torch.ops.mkldnn, "_linear_pointwise", None),
)
there = pytest.mark.skipif(
    onednn.lay_out(torch.ones(2, 3)) is None, reason="torch has no oneDNN here"
)


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """What was probed once a process is probed anew in each test."""
    onednn.works.cache_clear()
    yield
    onednn.works.cache_clear()


def missing(*_: object) -> torch.Tensor:
    raise AttributeError("'_OpNamespace' 'mkldnn' object has no attribute '_linear_pointwise'")


def refusing(*_: object) -> torch.Tensor:
    raise RuntimeError("could not create a primitive")


def a_little_off(values: torch.Tensor, *others: Any) -> torch.Tensor:
    return REAL.product(values, *others) * (1 + 1e-4)


def not_numbers(values: torch.Tensor, *others: Any) -> torch.Tensor:
    return REAL.product(values, *others) * float("nan")


def without_bias(values: torch.Tensor, weight: torch.Tensor, _: object, *others: Any) -> Any:
    return REAL.product(values, weight, None, *others)


def put(monkeypatch: pytest.MonkeyPatch, product: Any, reorder: Any = None) -> None:
    """Others in the place of torch's operators."""
    operators = SimpleNamespace(
        _reorder_linear_weight=reorder or REAL.reorder or refusing, _linear_pointwise=product
    )
    monkeypatch.setattr(torch, "ops", SimpleNamespace(mkldnn=operators))


BROKEN = [missing, refusing, a_little_off, not_numbers]


@there
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("relu", [True, False])
def test_the_values_are_those_of_the_public_product(bias: bool, relu: bool) -> None:
    torch.manual_seed(1)
    weight, values = torch.randn(13, 40), torch.randn(5, 7, 40)
    added = torch.randn(13) if bias else None
    laid_out = onednn.lay_out(weight, added)
    assert laid_out is not None
    expected = functional.linear(values, weight, added)
    expected = expected.relu() if relu else expected
    found = laid_out.product(values, added, relu=relu)
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@there
@pytest.mark.parametrize("product", BROKEN)
def test_what_is_missing_or_wrong_is_refused(
    product: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, product)
    assert onednn.lay_out(torch.randn(4, 6)) is None
    assert not onednn.works()


@there
def test_a_layout_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, REAL.product, refusing)
    assert onednn.lay_out(torch.randn(4, 6)) is None
    assert not onednn.works()


def test_torch_without_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "ops", SimpleNamespace(mkldnn=SimpleNamespace()))
    assert onednn.lay_out(torch.randn(4, 6)) is None
    assert not onednn.works()


@there
def test_the_bias_is_probed_with_the_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, without_bias)
    weight = torch.randn(4, 6)
    assert onednn.lay_out(weight) is not None
    assert onednn.lay_out(weight, torch.ones(4)) is None


@pytest.mark.parametrize("product", BROKEN)
def test_a_matrix_goes_through_the_public_product_then(
    product: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(monkeypatch, product)
    weight, values = torch.randn(4, 6), torch.randn(3, 6)
    matrix = Matrix(weight)
    assert not matrix.is_laid_out
    assert torch.equal(matrix(values), functional.linear(values, weight))
    assert torch.equal(matrix(values, relu=True), functional.linear(values, weight).relu())
    layers = torch.nn.Sequential(torch.nn.Linear(6, 4))
    assert lay_out_linear_layers(layers) == 0


@pytest.fixture(autouse=True)
def in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which processors with bf16 would not search in."""
    monkeypatch.setattr(topk, "worth_halving", lambda _: False)


def searched(documents: int = 3000) -> TopK:
    """Of 300 queries, with near-ties and twins."""
    draw = np.random.default_rng(3)
    vectors = draw.standard_normal((documents, 32)).astype(np.float32)
    vectors[documents // 2 :] = vectors[: documents - documents // 2]
    vectors[: documents // 4] += np.float32(1e-7)
    return dense_top_k(
        draw.standard_normal((300, 32)).astype(np.float32),
        vectors,
        id_ranks=draw.permutation(documents).astype(np.int32),
        first_row=0,
        k=20,
    )


def same(one: TopK, other: TopK) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("rows", "scores", "id_ranks")
    )


def counting(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often either operator ran."""
    counts = {"reorder": 0, "product": 0}
    guard = threading.Lock()

    def counted(name: str) -> Operator:
        def call(*arguments: Any) -> torch.Tensor:
            with guard:
                counts[name] += 1
            return getattr(REAL, name)(*arguments)

        return call

    put(monkeypatch, counted("product"), counted("reorder"))
    return counts


@pytest.mark.parametrize("product", BROKEN)
def test_top_k_is_the_same_without_onednn(
    product: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the operators would give wrong values, which would choose wrong candidates."""
    expected = searched()
    onednn.works.cache_clear()
    put(monkeypatch, product)
    assert same(searched(), expected)


@there
def test_top_k_goes_on_where_one_product_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe passed; a later layout does not."""
    expected = searched()
    assert onednn.works()
    put(monkeypatch, refusing)
    assert same(searched(), expected)


@there
def test_top_k_probes_once_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    tiles = []
    real = candidates._product

    def product(queries: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        tiles.append(len(queries))
        return real(queries, documents)

    monkeypatch.setattr(candidates, "_product", product)
    monkeypatch.setattr(topk, "_TILE_BYTES", 4 * 3000 * 10 * torch.get_num_threads())
    counts = counting(monkeypatch)
    assert onednn.works()
    assert counts == {"reorder": 1, "product": 1}
    for _ in range(2):
        searched()
    assert len(tiles) == 60
    pieces = -(-3000 // candidates._PIECE)
    assert counts == {"reorder": 1 + len(tiles), "product": 1 + len(tiles) * pieces}


@there
def test_several_threads_may_ask_at_once() -> None:
    with futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: onednn.works(), range(64)))


def test_there_is_no_other_door() -> None:
    package = Path(gtr_beir.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "ops.mkldnn" in path.read_text(encoding="utf-8")
    }
    assert found == {"onednn.py"}


@pytest.mark.parametrize("part", [1, 8, 16, 64, 512])
def test_parts_of_sums_that_are_kept_in_bf16_are_noticed(part: int) -> None:
    def product(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        total = torch.zeros(len(one), other.shape[1]).bfloat16()
        for start in range(0, one.shape[1], part):
            some = slice(start, start + part)
            total = (total.float() + one[:, some].float() @ other[some].float()).bfloat16()
        return total

    assert not onednn.summed_in_single(product)


def test_sums_in_single_precision_in_any_order_are_right() -> None:
    def product(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return (one.float().flip(1) @ other.float().flip(0)).bfloat16()

    assert onednn.summed_in_single(product)
