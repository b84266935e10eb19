"""Train the toy ColBERT of the demonstration: `python tools/train_toy_colbert.py --out DIR`.

The result is a ColBERT in sentence-transformers' own format (BERT, a projection of every token, a
skip list of punctuation, vectors of length 1; queries filled up with [MASK]), shrunk to about one
megabyte. It is a toy, as the toy GTR beside it: tokenizer and encoder see nothing but the documents
of the embedded dataset, the very documents that are searched with it afterwards, so its scores say
nothing about ColBERT. The queries and the judgements are never opened.

Training is contrastive with in-batch negatives, on the pairs that `train_toy_gtr` draws, with
MaxSim as the score. The embedding table starts from a latent semantic analysis of the documents.
"""

import argparse
import math
import os
import random
import string
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gtr_beir.demo import DATASET_DIR
from train_toy_gtr import LAYER_RATE, TABLE_RATE, WARMUP_STEPS, Document, draw_pair, read_documents

if TYPE_CHECKING:
    import torch

SEED = 20240301
VOCABULARY, WIDTH, DIMENSION = 3000, 64, 32
QUERY_LENGTH, DOCUMENT_LENGTH, TRAIN_LENGTH = 24, 180, 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[Q]", "[D]"]
TEMPERATURE = 0.6


def train_tokenizer(documents: Sequence[Document]) -> Any:
    """A lower-casing WordPiece tokenizer with ColBERT's two markers."""
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import BertTokenizer

    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIAL, show_progress=False
    )
    learner.train_from_iterator([document.whole for document in documents], trainer)
    tokenizer = BertTokenizer(vocab=learner.get_vocab(), do_lower_case=True, model_max_length=512)
    markers = [AddedToken(marker, normalized=False, special=True) for marker in ("[Q]", "[D]")]
    tokenizer.add_special_tokens({"additional_special_tokens": markers})
    return tokenizer


def build(tokenizer: Any, table: "torch.Tensor") -> Any:
    """An untrained MultiVectorEncoder around the tokenizer; its embeddings start as `table`."""
    import torch
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Normalize
    from transformers import BertConfig, BertModel

    encoder = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            max_position_embeddings=256,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        ),
        add_pooling_layer=False,
    )
    with torch.no_grad():
        encoder.embeddings.word_embeddings.weight.copy_(0.5 * table)
        encoder.embeddings.position_embeddings.weight.mul_(0.1)
    with tempfile.TemporaryDirectory() as scratch:
        encoder.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        transformer = Transformer(
            scratch,
            max_seq_length=DOCUMENT_LENGTH,
            query_length=QUERY_LENGTH,
            document_length=DOCUMENT_LENGTH,
            query_expansion={"strategy": "fixed", "attend": False, "length": QUERY_LENGTH},
            model_kwargs={"dtype": torch.float32},
        )
    dense = Dense(
        in_features=WIDTH,
        out_features=DIMENSION,
        bias=False,
        activation_function=torch.nn.Identity(),
        module_input_name="token_embeddings",
    )
    known = tokenizer.get_vocab()
    mask = MultiVectorMask(skiplist_words=[mark for mark in string.punctuation if mark in known])
    normalize = Normalize(module_input_name="token_embeddings")
    return MultiVectorEncoder(
        modules=[transformer, dense, mask, normalize],
        device="cpu",
        prompts={"query": "[Q] ", "document": "[D] "},
    )


def latent_pieces(documents: Sequence[Document], tokenizer: Any) -> "torch.Tensor":
    """float32[pieces, WIDTH]: latent semantic analysis (Deerwester et al. 1990) of the documents,
    each piece weighted by its idf."""
    import torch

    counts = torch.zeros(len(documents), len(tokenizer))
    for row, pieces in enumerate(tokenizer([d.whole for d in documents])["input_ids"]):
        for piece in pieces:
            counts[row, piece] += 1
    idf = torch.log(len(documents) / (1 + (counts > 0).sum(0))).clamp(min=0)
    weighted = torch.nn.functional.normalize(counts.sqrt() * idf, dim=-1)
    _, _, right = torch.linalg.svd(weighted, full_matrices=False)
    table = right[:WIDTH].T
    scaled: torch.Tensor = table / table.square().mean().sqrt()
    return scaled


def embed(model: Any, texts: Sequence[str], task: str) -> tuple["torch.Tensor", "torch.Tensor"]:
    """Token vectors float32[n, tokens, DIMENSION] and bool[n, tokens], which of them count."""
    prompt = model.prompts[task]
    features = model.preprocess(list(texts), prompt=prompt, task=task)
    features = model(features, task=task)
    return features["token_embeddings"], features["attention_mask"].bool()


def train(model: Any, documents: Sequence[Document], *, steps: int, batch_size: int) -> None:
    """`steps` contrastive steps over pairs drawn from the documents."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    table = model[0].auto_model.embeddings.word_embeddings.weight
    others = [weight for weight in model.parameters() if weight is not table]
    rates = (TABLE_RATE / 3, LAYER_RATE)
    optimizer = torch.optim.AdamW(
        [
            {"params": [table], "lr": rates[0], "weight_decay": 0.0},
            {"params": others, "lr": rates[1], "weight_decay": 0.01},
        ]
    )
    model.train()
    words = [word for document in documents for word in document.whole.split()]
    running = 0.0
    for step in range(steps):
        schedule = min(1.0, (step + 1) / WARMUP_STEPS) * (1 + math.cos(math.pi * step / steps)) / 2
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule
        chosen = rng.sample(range(len(documents)), batch_size)
        pairs = [draw_pair(documents[row], words, rng) for row in chosen]
        targets = [" ".join(target.split()[:TRAIN_LENGTH]) for _, target in pairs]
        queries, asked = embed(model, [anchor for anchor, _ in pairs], "query")
        found, kept = embed(model, targets, "document")
        products = torch.einsum("qsd,ntd->qnst", queries, found)
        products = products.masked_fill(~kept[None, :, None, :], -1.0)
        scores = (products.amax(-1) * asked[:, None, :]).sum(-1) / TEMPERATURE
        labels = torch.arange(len(chosen))
        loss = torch.nn.functional.cross_entropy(scores, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([table, *others], 1.0)
        optimizer.step()
        running += loss.item()
        if (step + 1) % 25 == 0:
            print(f"step {step + 1}/{steps}  loss {running / 25:.3f}", flush=True)
            running = 0.0
    model.eval()


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from the embedded documents and write the checkpoint."""
    parser = argparse.ArgumentParser(
        prog="python tools/train_toy_colbert.py",
        description="Train the demonstration's toy ColBERT.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the checkpoint to")
    parser.add_argument("--steps", type=int, default=300, help="training steps (default: 300)")
    parser.add_argument("--batch-size", type=int, default=48, help="pairs a step (default: 48)")
    options = parser.parse_args(arguments)
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from transformers.utils import logging

    logging.set_verbosity_error()  # that an anchor fills a query up is as it should be
    documents = read_documents(DATASET_DIR / "corpus.jsonl")
    tokenizer = train_tokenizer(documents)
    print(f"{len(documents)} documents, {len(tokenizer)} pieces", flush=True)
    model = build(tokenizer, latent_pieces(documents, tokenizer))
    train(model, documents, steps=options.steps, batch_size=options.batch_size)
    model.save_pretrained(str(options.out), create_model_card=False)


if __name__ == "__main__":
    main()
