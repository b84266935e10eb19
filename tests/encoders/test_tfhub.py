"""TF-Hub's form: a SavedModel with the published signature, made here (the extra `tfhub`)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gtr_beir import cli
from gtr_beir.checkpoints.door import open_checkpoint
from gtr_beir.encoders.base import encode
from gtr_beir.encoders.loading import load_encoder
from gtr_beir.errors import CheckpointError, UsageError
from gtr_beir.systems.base import load_system


def test_what_a_saved_model_cannot_do(tmp_path: Path) -> None:
    name = f"tfhub:{tmp_path}"
    with pytest.raises(UsageError, match="give --protocol hub"):
        load_system(name)
    with pytest.raises(UsageError, match="there is no SavedModel in"):
        open_checkpoint(name)
    with pytest.raises(UsageError, match="has no revisions"):
        open_checkpoint(name, revision="main")
    with pytest.raises(UsageError, match="has a tokenizer of its own"):
        open_checkpoint(name, tokenizer="x")
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(UsageError, match=r"a SavedModel \(tfhub:\) has no --dtype bf16"):
        load_encoder(open_checkpoint(name), dtype="bf16")


@pytest.fixture(scope="module")
def tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    pytest.importorskip("tensorflow_text", reason="the extra `tfhub` is not installed")
    return pytest.importorskip("tensorflow", reason="the extra `tfhub` is not installed")


def save(tensorflow: Any, path: Path, *, as_list: bool = True) -> None:
    """A SavedModel with GTR's signature: strings in, a list with one [n, 768] float tensor out."""
    tf = tensorflow
    weights = np.random.default_rng(0).standard_normal((64, 768)).astype("float32")

    class Toy(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = tf.Variable(weights)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def __call__(self, texts: Any) -> Any:
            words = tf.strings.split(texts)
            hashed = tf.strings.to_hash_bucket_fast(words.flat_values, 64)
            found = tf.gather(self.table, hashed)
            sums = tf.math.segment_sum(found, words.value_rowids())
            sums = sums + tf.zeros([tf.shape(texts)[0], 768])
            vectors = tf.math.l2_normalize(sums, axis=1)
            return [vectors] if as_list else vectors

    tf.saved_model.save(Toy(), str(path))


@pytest.mark.filterwarnings("ignore")
def test_a_saved_model_is_an_encoder(tensorflow: Any, tmp_path: Path) -> None:
    save(tensorflow, tmp_path / "toy")
    encoder = load_encoder(open_checkpoint(f"tfhub:{tmp_path / 'toy'}"))
    texts = [f"some words number {n} " + "more " * (n % 7) for n in range(70)]
    encoded = encode(encoder, texts, kind="document", max_tokens=512)
    assert encoded.vectors.shape == (70, 768)
    model = tensorflow.saved_model.load(str(tmp_path / "toy"))
    assert np.abs(encoded.vectors - model(tensorflow.constant(texts))[0].numpy()).max() < 1e-6
    command = ["run", f"tfhub:{tmp_path / 'toy'}", "-d", "demo", "--protocol", "hub", "-q"]
    folders = ["--datasets-dir", str(tmp_path / "d"), "--results-dir", str(tmp_path / "r")]
    assert cli.main([*command, *folders]) == 0
    assert (tmp_path / "r" / "toy@hub" / "demo" / "record.json").is_file()


@pytest.mark.filterwarnings("ignore")
def test_another_signature_is_refused(tensorflow: Any, tmp_path: Path) -> None:
    save(tensorflow, tmp_path / "toy", as_list=False)
    with pytest.raises(CheckpointError, match="does not give a list with one tensor"):
        load_encoder(open_checkpoint(f"tfhub:{tmp_path / 'toy'}"))
