"""Train the toy checkpoint of the demonstration: `python tools/train_toy_gtr.py --out DIR`.

The result has GTR's parts and GTR's sentence-transformers layout (T5 encoder, mean over the
non-pad tokens, Dense without bias, L2), shrunk to about two megabytes. It is a toy: tokenizer and
encoder see nothing but the documents of the embedded dataset, the very documents that are searched
with it afterwards, so its scores say nothing about GTR or about retrieval in general. The queries
and the judgements are never opened.

Training is contrastive with in-batch negatives. An anchor is made from a document (its title, one
of its sentences, a span, or a handful of its words) and has to find that document among the others
of the batch. The embedding table starts from a latent semantic analysis of the same documents.

On a CPU and with the same versions of torch and tokenizers, two trainings give the same weights:
seeds are fixed, one thread computes, and deterministic kernels are asked for.
"""

import argparse
import json
import math
import os
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_beir.demo import DATASET_DIR

if TYPE_CHECKING:
    import torch
    from transformers import T5EncoderModel, T5Tokenizer

SEED = 20240229
VOCABULARY = 4000  # pieces, without the sentinel tokens <extra_id_0..99>
WIDTH = 64  # d_model and the dimension of the embedding
MAX_TOKENS = 512  # what the checkpoint claims, as GTR does
TRAIN_TOKENS = 72  # a document of the demonstration after it has lost two words in five
TEMPERATURE = 0.05
TABLE_RATE = 1e-2  # learning rate of the embedding table, whose rows are seldom touched
LAYER_RATE = 1e-3  # of everything else
WARMUP_STEPS = 50
FILLERS = """
how do I what is the why does my can you should we when will it a an there our his her was were am
not never always after before if did best way to tell me about which where who of for on in at with
from them she he they this that could would need want any some too much very so
"""


@dataclass(frozen=True)
class Document:
    """One document: its title and its text split into sentences, either of which may be empty."""

    title: str
    sentences: tuple[str, ...]

    @property
    def whole(self) -> str:
        return " ".join((self.title, *self.sentences)).strip()


def read_documents(corpus: Path) -> list[Document]:
    """The documents of a BEIR `corpus.jsonl`, each distinct text once."""
    documents: dict[str, Document] = {}
    with corpus.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            sentences = [part for part in re.split(r"(?<=[.!?:;])\s+", row["text"]) if part]
            document = Document(row["title"], tuple(sentences))
            documents.setdefault(document.whole, document)
    return list(documents.values())


def train_tokenizer(documents: Sequence[Document]) -> "T5Tokenizer":
    """A T5 tokenizer: Unigram, `<pad>` 0, `</s>` 1 and last in every text, `<unk>` 2."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import T5Tokenizer

    learner = Tokenizer(models.Unigram())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "</s>", "<unk>"],
        unk_token="<unk>",
        show_progress=False,
    )
    texts = [document.whole for document in documents]
    learner.train_from_iterator([*texts, *(text.lower() for text in texts)], trainer)
    learnt = json.loads(learner.to_str())["model"]["vocab"]
    pieces = [(piece, 0.0) for piece, _ in learnt[:3]]
    # The trainer goes by the order of a hash table, in its sums and where it ranks the rarest
    # letters 0.0001 apart: round off what differs from run to run.
    rounded = [(piece, round(score, 2)) for piece, score in learnt[3:]]
    pieces += sorted(rounded, key=lambda entry: (-entry[1], entry[0]))
    pieces += [(f"<extra_id_{number}>", 0.0) for number in reversed(range(100))]
    return T5Tokenizer(vocab=pieces, extra_ids=100, model_max_length=MAX_TOKENS)


def vary(word: str, rng: random.Random) -> str:
    """The word, now and then without its end or with another, so that forms of it come together."""
    chance = rng.random()
    if chance < 0.12 and len(word) > 4:
        return word[: -rng.randint(1, min(3, len(word) - 3))]
    if chance < 0.2 and word.isalpha():
        return word + rng.choice(("s", "ed", "ing", "er", "y"))
    return word


def draw_pair(document: Document, words: Sequence[str], rng: random.Random) -> tuple[str, str]:
    """An anchor and the document that it has to find, both made from one document.

    A title or a sentence is cut out of the document that it has to find; a span or a handful of
    words is not, but the document loses a part of its words at random. Fillers of questions, a word
    of another document (from `words`) and a word that does not exist are strewn into the anchor,
    so that the encoder learns to pass over what says nothing.
    """
    ways = ["words", "words", "span"]
    if document.title and document.sentences:
        ways += ["title", "title"]
    if len(document.sentences) > 1:
        ways += ["sentence", "sentence"]
    way = rng.choice(ways)
    target = document.whole.split()
    if way == "title":
        anchor, target = document.title.split(), " ".join(document.sentences).split()
    elif way == "sentence":
        cut = rng.randrange(len(document.sentences))
        rest = document.sentences[:cut] + document.sentences[cut + 1 :]
        anchor = document.sentences[cut].split()
        target = Document(document.title, rest).whole.split()
    else:
        count = min(len(target), rng.randint(3, 10))
        start = rng.randrange(len(target) - count + 1)
        anchor = target[start : start + count] if way == "span" else rng.sample(target, count)
    start = rng.randrange(max(1, len(anchor) - 11))
    anchor = anchor[start : start + 12]
    anchor = [word for word in anchor if rng.random() < 0.8] or anchor
    target = [word for word in target if rng.random() < 0.6] or target
    noise = rng.choices(FILLERS.split(), k=rng.randint(0, 5))
    noise += rng.choices(words, k=rng.randint(0, 1))
    if rng.random() < 0.5:
        head, tail = rng.choices(words, k=2)
        noise.append((head[: len(head) // 2 + 1] + tail[len(tail) // 2 :]).lower())
    for word in noise:
        anchor.insert(rng.randrange(len(anchor) + 1), word)
    shown = " ".join(vary(word, rng) for word in anchor)
    if rng.random() < 0.7:
        shown = shown.lower().strip(".,;:?!")
    return shown, " ".join(target)


def latent_pieces(documents: Sequence[Document], tokenizer: "T5Tokenizer") -> "torch.Tensor":
    """A first table of embeddings, float32[pieces, WIDTH], by latent semantic analysis.

    The right singular vectors of the tf-idf matrix of documents by pieces (Deerwester et al. 1990),
    each piece weighted by its idf, so that rare pieces speak louder in the mean of a text.
    """
    import torch

    texts = [document.whole for document in documents]
    texts += [text.lower() for text in texts]
    counts = torch.zeros(len(texts), len(tokenizer))
    for row, pieces in enumerate(tokenizer(texts)["input_ids"]):
        for piece in pieces:
            counts[row, piece] += 1
    idf = torch.log(len(texts) / (1 + (counts > 0).sum(0))).clamp(min=0)
    weighted = torch.nn.functional.normalize(counts.sqrt() * idf, dim=-1)
    _, _, right = torch.linalg.svd(weighted, full_matrices=False)
    table = right[:WIDTH].T * idf[:, None]
    scaled: torch.Tensor = table / table.square().mean().sqrt()
    return scaled


def embed(
    encoder: "T5EncoderModel",
    dense: "torch.nn.Linear",
    tokenizer: "T5Tokenizer",
    texts: Sequence[str],
) -> "torch.Tensor":
    """Vectors of length 1 for texts, float32[n, WIDTH]."""
    import torch

    batch = tokenizer(
        list(texts), padding=True, truncation=True, max_length=TRAIN_TOKENS, return_tensors="pt"
    )
    mask = batch["attention_mask"]
    states = encoder(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(states.dtype)
    mean = (states * weights).sum(1) / weights.sum(1)
    vectors: torch.Tensor = torch.nn.functional.normalize(dense(mean), dim=-1)
    return vectors


def train_encoder(
    documents: Sequence[Document], tokenizer: "T5Tokenizer", *, steps: int, batch_size: int
) -> tuple["T5EncoderModel", "torch.nn.Linear"]:
    """Encoder and Dense after `steps` contrastive steps over pairs drawn from the documents."""
    import torch
    from transformers import T5Config, T5EncoderModel

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=128,
        feed_forward_proj="relu",
        dropout_rate=0.0,
    )
    encoder = T5EncoderModel(config)
    dense = torch.nn.Linear(WIDTH, WIDTH, bias=False)
    table = encoder.shared.weight
    others = [weight for weight in encoder.parameters() if weight is not table]
    others += dense.parameters()
    with torch.no_grad():
        # Start close to a bag of words: the table weighs more than what the layers add to it.
        table.copy_(0.3 * latent_pieces(documents, tokenizer) + 0.06 * torch.randn(table.shape))
        for name, weight in encoder.named_parameters():
            if name.endswith((".o.weight", ".wo.weight")):
                weight.mul_(0.2)
    rates = (TABLE_RATE, LAYER_RATE)
    optimizer = torch.optim.AdamW(
        [
            {"params": [table], "lr": TABLE_RATE, "weight_decay": 0.0},
            {"params": others, "lr": LAYER_RATE, "weight_decay": 0.01},
        ]
    )
    encoder.train()
    words = [word for document in documents for word in document.whole.split()]
    order: list[int] = []
    running = 0.0
    for step in range(steps):
        schedule = min(1.0, (step + 1) / WARMUP_STEPS) * (1 + math.cos(math.pi * step / steps)) / 2
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * schedule
        if len(order) < batch_size:
            order = rng.sample(range(len(documents)), len(documents))
        chosen, order = order[:batch_size], order[batch_size:]
        pairs = [draw_pair(documents[row], words, rng) for row in chosen]
        anchors = embed(encoder, dense, tokenizer, [anchor for anchor, _ in pairs])
        targets = embed(encoder, dense, tokenizer, [target for _, target in pairs])
        scores = anchors @ targets.T / TEMPERATURE
        labels = torch.arange(len(chosen))
        forward = torch.nn.functional.cross_entropy(scores, labels)
        backward = torch.nn.functional.cross_entropy(scores.T, labels)
        loss = (forward + backward) / 2
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_([table, *others], 1.0)
        optimizer.step()
        running += loss.item()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}/{steps}  loss {running / 50:.3f}", flush=True)
            running = 0.0
    return encoder.eval(), dense.eval()


def write_json(path: Path, content: object) -> None:
    """Write one of the layout's small files, indented, with a final newline."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_checkpoint(
    folder: Path, encoder: "T5EncoderModel", dense: "torch.nn.Linear", tokenizer: "T5Tokenizer"
) -> None:
    """Write the parts in the layout in which the GTR checkpoints lie on the hub."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    encoder.save_pretrained(folder)
    # What the last batch was cut and filled to is not a property of the tokenizer.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
    kinds = ("Transformer", "Pooling", "Dense", "Normalize")
    modules = [
        {
            "idx": index,
            "name": str(index),
            "path": f"{index}_{kind}" if index else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for index, kind in enumerate(kinds)
    ]
    write_json(folder / "modules.json", modules)
    write_json(
        folder / "config_sentence_transformers.json",
        {
            "__version__": {
                "sentence_transformers": version("sentence-transformers"),
                "transformers": version("transformers"),
                "pytorch": version("torch").split("+")[0],
            }
        },
    )
    write_json(
        folder / "sentence_bert_config.json",
        {"max_seq_length": MAX_TOKENS, "do_lower_case": False},
    )
    write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": WIDTH,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    write_json(
        folder / "2_Dense" / "config.json",
        {
            "in_features": WIDTH,
            "out_features": WIDTH,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    save_file(
        {"linear.weight": dense.weight.detach().contiguous()},
        folder / "2_Dense" / "model.safetensors",
        metadata={"format": "pt"},
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train from the embedded documents and write the checkpoint."""
    parser = argparse.ArgumentParser(
        prog="python tools/train_toy_gtr.py",
        description="Train the demonstration's toy checkpoint.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write the checkpoint to")
    parser.add_argument("--steps", type=int, default=400, help="training steps (default: 400)")
    parser.add_argument("--batch-size", type=int, default=128, help="pairs a step (default: 128)")
    options = parser.parse_args(arguments)
    # Read by the tokenizers library, whose trainer would otherwise depend on the number of cores.
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    documents = read_documents(DATASET_DIR / "corpus.jsonl")
    tokenizer = train_tokenizer(documents)
    print(f"{len(documents)} documents, {len(tokenizer)} pieces", flush=True)
    encoder, dense = train_encoder(
        documents, tokenizer, steps=options.steps, batch_size=options.batch_size
    )
    write_checkpoint(options.out, encoder, dense, tokenizer)


if __name__ == "__main__":
    main()
