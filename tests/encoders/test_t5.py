"""GTR's forward pass beside sentence-transformers, in the head layouts of all four sizes."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers.models.t5.modeling_t5 import T5Attention

from gtr_beir.checkpoints.convert import write_folder
from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.checkpoints.hub import inspect_folder
from gtr_beir.checkpoints.layout import RELEASED, GtrShape
from gtr_beir.checkpoints.tokenizer import open_tokenizer
from gtr_beir.checkpoints.untrained import UntrainedArrays
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.encoders.base import Encoded
from gtr_beir.encoders.loading import load_encoder
from gtr_beir.encoders.t5 import T5Model
from gtr_beir.encoders.t5_attention import (
    bias_matrix,
    own_text_only,
    position_bias,
    position_buckets,
)

VOCABULARY = 4096
SHAPES = {
    "base": GtrShape(2, 768, 12, 64, 3072, vocabulary=VOCABULARY),
    "large": GtrShape(2, 1024, 16, 64, 4096, vocabulary=VOCABULARY),
    # Two layers, and a narrower MLP for the largest; heads as they are.
    "xl": GtrShape(2, 1024, 32, 128, 4096, vocabulary=VOCABULARY),
    "xxl": GtrShape(1, 1024, 128, 128, 2048, vocabulary=VOCABULARY),
}
SMALL = GtrShape(2, 64, 4, 16, 128, dimension=48, vocabulary=VOCABULARY)


def texts_of(lengths: list[int]) -> list[str]:
    draw = random.Random(5)
    source = (CHECKPOINT_DIR.parent / "README.md").read_text(encoding="utf-8")
    words = [word for word in source.split() if word.isalpha()]
    return [" ".join(draw.choice(words) for _ in range(n)) for n in lengths]


@pytest.fixture(params=list(SHAPES))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    out = tmp_path / "gtr"
    write_folder(
        UntrainedArrays(SHAPES[request.param]),
        open_tokenizer(CHECKPOINT_DIR),
        out,
        own_length=768,
    )
    return out


@pytest.fixture
def small(tmp_path: Path) -> Path:
    out = tmp_path / "small"
    write_folder(UntrainedArrays(SMALL), open_tokenizer(CHECKPOINT_DIR), out, own_length=768)
    return out


def test_equal_to_sentence_transformers(folder: Path) -> None:
    """1 to 768 tokens, any order, any batch: within 2e-5."""
    texts = texts_of([0, 1, 2, 2, 2, 7, 40, 41, 150, 300, 1000])
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    assert model.max_seq_length == 768
    expected = model.encode(texts, batch_size=4, show_progress_bar=False)
    encoder = load_encoder(open_checkpoint(str(folder), offline=True), device="cpu")
    encoded = encoder.encode(texts, kind="document", max_tokens=768)
    assert encoded.tokens.min() == 1
    assert encoded.tokens.max() == 768
    assert np.abs(encoded.vectors - expected).max() < 2e-5
    order = random.Random(1).sample(range(len(texts)), len(texts))
    again = encoder.encode([texts[i] for i in order], kind="document", max_tokens=768)
    assert np.abs(again.vectors - expected[order]).max() < 2e-5
    for index in (0, 3, 8):
        alone = encoder.encode([texts[index]], kind="query", max_tokens=768)
        assert np.abs(alone.vectors[0] - expected[index]).max() < 2e-5


@pytest.fixture
def real_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """bf16 products also on a processor that has no arithmetic for them."""
    monkeypatch.setattr("gtr_beir.encoders.t5.products_of", lambda dtype, _: dtype)


@pytest.mark.usefixtures("real_bf16")
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_what_a_text_is_batched_with(small: Path, dtype: str) -> None:
    """A text's vector beside whatever others: the same to 1e-6 in fp32, to 2e-3 in bf16."""
    texts = texts_of([12, 3, 80, 3, 200, 0, 12, 55] * 4)
    tolerance = {"fp32": 1e-6, "bf16": 2e-3}[dtype]
    found = []
    for budget in (1, 100, 2048, 100_000):
        encoder = load_encoder(
            open_checkpoint(str(small), offline=True),
            device="cpu",
            dtype=dtype,
            batch_tokens=budget,
        )
        found.append(encoder.encode(texts, kind="document", max_tokens=512).vectors)
    for vectors in found[1:]:
        assert np.abs(vectors - found[0]).max() < tolerance


@pytest.mark.usefixtures("real_bf16")
def test_bf16_is_near_fp32() -> None:
    sequences = [[*list(range(2, 2 + n)), 1] for n in (1, 20, 200)]
    fp32 = T5Model(UntrainedArrays(SMALL), dtype="fp32", device="cpu").forward(sequences)
    bf16 = T5Model(UntrainedArrays(SMALL), dtype="bf16", device="cpu").forward(sequences)
    assert bf16.dtype == torch.float32
    assert 0 < (fp32 - bf16).abs().max() < 5e-3


@pytest.mark.usefixtures("real_bf16")
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_packed_attention_of_a_gpu(dtype: str) -> None:
    """The path that a GPU takes (one attention over all texts, padded to fixed sizes), on a CPU."""
    sequences = [[1], [7, 1], [*list(range(2, 302)), 1], [9] * 127 + [1], [4] * 129 + [1], [1]]
    plain = T5Model(UntrainedArrays(SMALL), dtype=dtype, device="cpu")
    flex = T5Model(UntrainedArrays(SMALL), dtype=dtype, device="cpu", flex=True)
    assert (plain.attention == "flex", flex.attention) == (False, "flex")
    apart = (plain.forward(sequences) - flex.forward(sequences)).abs().max()
    assert apart < {"fp32": 2e-6, "bf16": 3e-3}[dtype]


@pytest.mark.usefixtures("real_bf16")
def test_both_kernels_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16 the faster one depends on the processor; the vectors do not."""
    sequences = [list(range(2, 302)), *[[4] * 129] * 3, *[[7, 8, 1]] * 5, [], [1]]
    found = []
    for fast in (True, False):
        monkeypatch.setattr("gtr_beir.encoders.t5.fast_bf16_attention", lambda fast=fast: fast)
        model = T5Model(UntrainedArrays(SMALL), dtype="bf16", device="cpu")
        assert model.attention == ("fused" if fast else "products")
        found.append(model.forward(sequences))
    assert (found[0] - found[1]).abs().max() < 3e-3


def test_what_fills_a_batch_up_attends_to_little() -> None:
    """Rows without a text are many short texts: one long one would cost its square."""
    mask = own_text_only([300, 5, 40], 8192, torch.device("cpu"))
    seen = mask.kv_num_blocks[0, 0].tolist()
    assert seen[0] == 3
    assert seen[3:] == [1] * 61
    assert len(seen) == 64


def test_position_buckets_are_those_of_transformers() -> None:
    for buckets in (4, 8, 32):
        apart = torch.arange(-128, 129)
        theirs = T5Attention._relative_position_bucket(apart, num_buckets=buckets)
        assert (position_buckets(buckets, 128) == theirs).all()
        table = torch.randn(buckets, 3)
        matrix = bias_matrix(position_bias(table, 128), 600)
        places = torch.arange(600)
        wide = T5Attention._relative_position_bucket(
            places.unsqueeze(0) - places.unsqueeze(1), num_buckets=buckets
        )
        assert (matrix == table[wide].permute(2, 0, 1)).all()


def test_released_sizes_have_the_parameters_of_the_hub() -> None:
    for name, entry in RELEASED.items():
        assert entry.shape.parameters == entry.parameters, name


def test_no_tokens_at_all_is_the_zero_vector() -> None:
    """As in sentence-transformers, for tokenizers that do not end a text."""
    model = T5Model(UntrainedArrays(SMALL), dtype="fp32", device="cpu")
    assert (model.forward([[]]) == 0).all()
    assert model.forward([]).shape == (0, 48)
    found = model.forward([[], [5, 1], []])
    assert (found[0] == 0).all()
    assert (found[2] == 0).all()
    assert found[1].norm() == pytest.approx(1.0)


def test_without_onednn(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch's private operators are missing, the public one gives the same."""
    arrays = inspect_folder(small).arrays()
    sequences = [[5, 6, 1], [8] * 30 + [1]]
    expected = T5Model(arrays, dtype="fp32", device="cpu").forward(sequences)
    monkeypatch.setattr("gtr_beir.encoders.linear.lay_out", lambda weight: None)
    plain = T5Model(arrays, dtype="fp32", device="cpu")
    assert plain.laid_out_layers == 0
    assert (plain.forward(sequences) - expected).abs().max() < 1e-6


class Listener:
    """Knows what it is given at first, and writes down what it hears."""

    def __init__(self, known: dict[tuple[int, int], Encoded] | None = None) -> None:
        self._known = known or {}
        self.heard: dict[tuple[int, int], Encoded] = {}
        self.batches = 0

    def known(self, group: int, places: npt.NDArray[np.int64]) -> Encoded | None:
        found = [self._known.get((group, int(place))) for place in places]
        there = [one for one in found if one is not None]
        return joined(there) if len(there) == len(found) else None

    def did(self, group: int, places: npt.NDArray[np.int64], fetch: Callable[[], Encoded]) -> None:
        self.batches += 1
        batch = fetch()
        for at, place in enumerate(places.tolist()):
            one = slice(at, at + 1)
            self.heard[group, place] = Encoded(
                batch.vectors[one], batch.tokens[one], batch.truncated[one]
            )


def joined(parts: list[Encoded]) -> Encoded:
    return Encoded(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.tokens for part in parts]),
        np.concatenate([part.truncated for part in parts]),
    )


def test_who_follows_hears_of_every_batch_and_what_is_known_is_not_encoded_again(
    small: Path,
) -> None:
    """A slow encoder moves the progress long before a group of 1,024 texts is done, and goes on in
    the middle of it: the same vectors, to the bit."""
    encoder = load_encoder(open_checkpoint(str(small), offline=True), device="cpu", batch_tokens=64)
    texts = texts_of([20] * 7 + [9, 31, 3, 17, 60])
    groups = [texts[:8], texts[8:]]

    def encoded(listener: Listener) -> list[Encoded]:
        return list(encoder.encode_each(groups, kind="document", max_tokens=32, follower=listener))

    first = Listener()
    done = encoded(first)
    assert [len(one.vectors) for one in done] == [8, 4]
    assert len(first.heard) == 12
    assert first.batches >= 6
    for (group, place), heard in first.heard.items():
        assert (heard.vectors[0] == done[group].vectors[place]).all()
        assert heard.tokens[0] == done[group].tokens[place]
        assert heard.truncated[0] == done[group].truncated[place]

    half = dict(list(first.heard.items())[:7])
    second = Listener(half)
    again = encoded(second)
    assert second.batches < first.batches
    for before, after in zip(done, again, strict=True):
        assert (before.vectors == after.vectors).all()
        assert (before.tokens == after.tokens).all()
        assert (before.truncated == after.truncated).all()
