"""The tokenizer of a GTR checkpoint, with its own limit and prompts.

transformers builds T5's tokenizer anew and keeps of the normalizer in `tokenizer.json` nothing
(5.0 to 5.2) or its precompiled part only (later). The tokenizer that runs gets the whole of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from gtr_beir.checkpoints.weights import configuration_if_any
from gtr_beir.digests import Digest
from gtr_beir.errors import CheckpointError, UsageError
from gtr_beir.lengths import Kind

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.normalizers import Normalizer

GTR_LENGTH = 512


class TransformersTokenizer(Protocol):
    """What is used of transformers' fast tokenizers."""

    backend_tokenizer: Tokenizer
    model_max_length: int
    pad_token_id: int | None
    eos_token_id: int | None
    unk_token_id: int | None

    def __call__(self, text: str) -> Mapping[str, list[int]]: ...

    def __len__(self) -> int: ...

    def save_pretrained(self, folder: Path) -> object: ...


@dataclass(frozen=True)
class TextFace:
    """What a checkpoint does with text before its weights matter.

    tokenizer cuts and ends texts itself; own_length: its limit in tokens; prompts: "query" and
    "document", usually empty.
    """

    tokenizer: Tokenizer
    own_length: int
    prompts: Mapping[Kind, str]

    def fingerprint(self) -> str:
        """SHA-256 over the tokenizer's rules and vocabulary."""
        from tokenizers import Tokenizer

        # A copy without the padding and the cut that whoever used it last has left on it.
        rules = Tokenizer.from_str(self.tokenizer.to_str())
        rules.no_padding()
        rules.no_truncation()
        return Digest().add(rules.to_str()).hex()


def text_face(folder: Path, transformer: Path) -> TextFace:
    """Of a sentence-transformers folder, whose transformer module lies in `transformer`."""
    limits = transformer / "sentence_bert_config.json"
    given = configuration_if_any(limits)
    if given.get("do_lower_case"):
        raise CheckpointError(f"{limits} asks for lower-cased texts; GTR keeps upper case")
    tokenizer = open_tokenizer(transformer)
    own = given.get("max_seq_length") or min(int(tokenizer.model_max_length), 1 << 20)
    if type(own) is not int or own < 1:
        raise CheckpointError(
            f"{limits} says max_seq_length {own!r}, which is not a number of tokens"
        )
    prompts = prompts_of(folder)
    pooling = configuration_if_any(folder / "1_Pooling" / "config.json")
    included = pooling.get("include_prompt", True)
    if any(prompts.values()) and not included:
        raise CheckpointError(
            f"{folder} leaves its prompts out of the pooling, which is not supported"
        )
    return TextFace(tokenizer.backend_tokenizer, own, prompts)


def require_fitting(tokenizer: Tokenizer, rows: int, source: str) -> None:
    """CheckpointError if the tokenizer has ids that the embedding table of so many rows has not."""
    tokens = tokenizer.get_vocab_size(with_added_tokens=True)
    if tokens > rows:
        raise CheckpointError(
            f"the tokenizer has {tokens:,} tokens, but the embedding of {source} has {rows:,} "
            "rows; they do not belong together"
        )


def bare_face(tokenizer: str, *, fetch: bool) -> TextFace:
    """Of a tokenizer alone (a folder or a hub id), for checkpoints that carry none."""
    opened = open_tokenizer(tokenizer, fetch=fetch)
    return TextFace(opened.backend_tokenizer, GTR_LENGTH, {"query": "", "document": ""})


def t5x_tokenizer(path: Path, given: str | None) -> str:
    """Which tokenizer goes with a T5X checkpoint, which carries none: the one that is given, or one
    that somebody put beside it."""
    if given is not None:
        return given
    if any((path / name).is_file() for name in ("tokenizer.json", "spiece.model")):
        return str(path)
    raise UsageError(
        "a T5X checkpoint carries no tokenizer; give --tokenizer with a folder or a Hugging Face "
        f"id (GTR's is that of google-t5/t5-base), or put a tokenizer.json into {path}"
    )


def open_tokenizer(source: Path | str, *, fetch: bool = False) -> TransformersTokenizer:
    """transformers' tokenizer, a fast one, with the normalizer of its `tokenizer.json`.

    Raises UsageError for a name that is none, CheckpointError for a tokenizer that is damaged, is
    not a fast one, or does not take that normalizer.
    """
    from transformers import AutoTokenizer

    is_folder = Path(source).is_dir()
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(source), local_files_only=is_folder or not fetch, trust_remote_code=False
        )
        rules = _tokenizer_file(source)
        wanted = None if rules is None else _read(rules).normalizer
    except Exception as error:  # whatever the library raises, the user gets one sentence
        reason = " ".join(str(error).split())[:200]
        if not is_folder:
            raise UsageError(
                f"the tokenizer '{source}' is not a folder and could not be fetched from the "
                f"Hugging Face hub ({reason}); give a folder with a tokenizer.json"
            ) from error
        raise CheckpointError(
            f"the tokenizer in {source} cannot be loaded ({type(error).__name__}: {reason})"
        ) from error
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise CheckpointError(f"{source} has no fast tokenizer (tokenizer.json)")
    if rules is not None:
        _require_normalizer(tokenizer, wanted, rules)
    return cast(TransformersTokenizer, tokenizer)


def _tokenizer_file(source: Path | str) -> Path | None:
    """The `tokenizer.json` of a folder, or of a hub id in the cache; None if there is none."""
    from huggingface_hub import try_to_load_from_cache

    if Path(source).is_dir():
        file = Path(source) / "tokenizer.json"
        return file if file.is_file() else None
    found = try_to_load_from_cache(str(source), "tokenizer.json")
    return Path(found) if isinstance(found, str) else None


def _read(rules: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(rules))


def _require_normalizer(
    tokenizer: TransformersTokenizer, wanted: Normalizer | None, rules: Path
) -> None:
    """Give the tokenizer the normalizer that `rules` has, if it has another; CheckpointError if it
    does not take it."""
    import transformers

    if _as_text(tokenizer.backend_tokenizer.normalizer) == _as_text(wanted):
        return
    tokenizer.backend_tokenizer.normalizer = wanted
    if _as_text(tokenizer.backend_tokenizer.normalizer) != _as_text(wanted):
        raise CheckpointError(
            f"transformers {transformers.__version__} runs the tokenizer of {rules} without its "
            "normalizer, so texts would not become the tokens that the checkpoint was trained "
            "on; install another version of transformers, 5.3 or newer"
        )


def _as_text(normalizer: Normalizer | None) -> str:
    """Every setting of a normalizer, for comparing; only a tokenizer can be written out."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    carrier = Tokenizer(WordLevel({}, unk_token=""))
    carrier.normalizer = normalizer
    return carrier.to_str()


def prompts_of(folder: Path) -> dict[Kind, str]:
    """The texts that the checkpoint wants before queries and documents."""
    file = folder / "config_sentence_transformers.json"
    prompts = configuration_if_any(file).get("prompts") or {}
    if not isinstance(prompts, dict):
        raise CheckpointError(f"{file}: prompts is not a table of names and texts")
    return {
        "query": str(prompts.get("query") or ""),
        "document": str(prompts.get("document") or prompts.get("passage") or ""),
    }
