"""The tokenizer that runs normalizes as the checkpoint's tokenizer.json says."""

from __future__ import annotations

import base64
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import transformers
from huggingface_hub import constants
from tokenizers import Tokenizer

from gtr_beir.checkpoints.tokenizer import TransformersTokenizer, bare_face, open_tokenizer
from gtr_beir.demo import CHECKPOINT_DIR
from gtr_beir.errors import CheckpointError

Rule = dict[str, Any]


def charsmap(key: str, value: str) -> str:
    """SentencePiece's table of rules with one rule: a double-array trie of one letter, and text."""
    (letter,) = key.encode()
    units = [0] * 1024
    units[0] = 256 << 10
    units[256 ^ letter] = letter | 1 << 8 | 512 << 10
    units[256 ^ letter ^ 512] = 0  # where the letter's text begins
    data = struct.pack("<I1024I", 4096, *units) + value.encode() + b"\0"
    return base64.b64encode(data).decode()


PRECOMPILED: Rule = {"type": "Precompiled", "precompiled_charsmap": charsmap("Q", "q")}
REPLACE: Rule = {"type": "Replace", "pattern": {"String": "``"}, "content": '"'}
SPACES: Rule = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"}
RULES = {
    "precompiled": PRECOMPILED,
    "replace": REPLACE,
    "lowercase": {"type": "Lowercase"},
    "as transformers 4 wrote it": {
        "type": "Sequence",
        "normalizers": [
            PRECOMPILED,
            {"type": "Strip", "strip_left": False, "strip_right": True},
            SPACES,
        ],
    },
    "sequence": {"type": "Sequence", "normalizers": [REPLACE, PRECOMPILED, {"type": "Lowercase"}]},
}
TEXT = "The Quick  ``Q'' bicycle "


def with_rule(folder: Path, rule: Rule | None) -> Path:
    """The demonstration's tokenizer with another normalizer."""
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(CHECKPOINT_DIR / name, folder / name)
    rules = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    rules["normalizer"] = rule
    (folder / "tokenizer.json").write_text(json.dumps(rules), encoding="utf-8")
    return folder


def rule_of(tokenizer: Tokenizer) -> Rule | None:
    found: Rule | None = json.loads(tokenizer.to_str())["normalizer"]
    return found


def ids(tokenizer: Tokenizer, text: str = TEXT) -> list[int]:
    return list(tokenizer.encode(text).ids)


def without_normalizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What transformers 5.0 to 5.2 did to T5's tokenizer."""
    real = transformers.AutoTokenizer.from_pretrained

    def stripped(*arguments: Any, **options: Any) -> TransformersTokenizer:
        tokenizer: TransformersTokenizer = real(*arguments, **options)
        tokenizer.backend_tokenizer.normalizer = None
        return tokenizer

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", stripped)


@pytest.mark.parametrize("lost", [False, True], ids=["as loaded", "stripped"])
@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_it_runs_with_the_normalizer_of_the_file(
    rule: Rule, lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_rule(tmp_path / "t5", rule)
    if lost:
        without_normalizer(monkeypatch)
    found = open_tokenizer(folder)
    assert rule_of(found.backend_tokenizer) == rule
    assert ids(found.backend_tokenizer) == ids(Tokenizer.from_file(str(folder / "tokenizer.json")))
    assert found(TEXT)["input_ids"] == ids(found.backend_tokenizer)


def test_the_normalizer_makes_other_tokens(tmp_path: Path) -> None:
    """What would be lost: each of the rules is seen in the tokens."""
    plain = open_tokenizer(with_rule(tmp_path / "plain", None)).backend_tokenizer
    for name, seen in (("precompiled", "The quick  ``q''"), ("lowercase", "the quick  ``q''")):
        found = open_tokenizer(with_rule(tmp_path / name, RULES[name])).backend_tokenizer
        text = "The Quick  ``Q''"
        assert ids(found, text) == ids(plain, seen)
        assert ids(found, text) != ids(plain, text)


def test_none_in_the_file_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = with_rule(tmp_path / "t5", None)
    assert rule_of(open_tokenizer(folder).backend_tokenizer) is None


def test_another_normalizer_makes_another_fingerprint(tmp_path: Path) -> None:
    faces = [
        bare_face(str(with_rule(tmp_path / name, rule)), fetch=False)
        for name, rule in (("none", None), ("replace", REPLACE), ("spaces", SPACES))
    ]
    assert len({face.fingerprint() for face in faces}) == 3


def test_what_is_saved_has_it_as_well(tmp_path: Path) -> None:
    """A converted checkpoint keeps the rules of the one it came from."""
    open_tokenizer(with_rule(tmp_path / "t5", RULES["sequence"])).save_pretrained(tmp_path / "out")
    found = Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert rule_of(found) == RULES["sequence"]


def test_a_tokenizer_that_does_not_take_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = with_rule(tmp_path / "t5", PRECOMPILED)

    class Stubborn:
        @property
        def backend_tokenizer(self) -> Tokenizer:
            return Tokenizer.from_file(str(CHECKPOINT_DIR / "tokenizer.json"))

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: Stubborn())
    with pytest.raises(CheckpointError) as refusal:
        open_tokenizer(folder)
    assert str(refusal.value) == (
        f"transformers {transformers.__version__} runs the tokenizer of {folder}/tokenizer.json "
        "without its normalizer, so texts would not become the tokens that the checkpoint was "
        "trained on; install another version of transformers, 5.3 or newer"
    )


def test_a_tokenizer_of_the_hub_that_is_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its id, as --tokenizer takes it; the file is found beside what transformers loaded."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = tmp_path / "hub" / "models--someone--t5"
    folder = with_rule(place / "snapshots" / commit, RULES["sequence"])
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(commit)
    (place / "blobs").mkdir()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    real = transformers.AutoTokenizer.from_pretrained

    def of_cache(source: str, **options: Any) -> Any:
        assert source == "someone/t5"
        return real(str(folder), **options)

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", of_cache)
    found = open_tokenizer("someone/t5")
    assert rule_of(found.backend_tokenizer) == RULES["sequence"]
