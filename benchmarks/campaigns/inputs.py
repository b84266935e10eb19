"""Hostile datasets, archives, run files and checkpoints: refused with a sentence, or read as
somebody else reads them."""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import json
import math
import os
import random
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from campaigns.trial import Tally, call
from campaigns.world import GTR, World, digest_of_result, left_over, write_source
from gtr_beir.demo import COLBERT_DIR
from measure import SCIFACT

DEEP = 100_000
LARGE = 40_000_000
BOMB = 1500
"""Megabytes that come out of a bomb."""
VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2, 1e308, 10**30, 2**31, 2**63, 0.5),
    *("", "x", "0", "../x", "/dev/zero", "a\x00b", "ä" * 300, "\ud800"),
    *([], [1], [[]], {}, {"a": 1}),
)
"""What is put in the place of a value."""
LINES = (
    *("", " ", "null", "[]", "{}", "{", '{"_id": "x"}', '{"_id": 7, "text": "seven"}'),
    *('{"_id": "d1", "text": "again"}', '{"_id": "", "text": "x"}', '{"_id": " ", "text": "x"}'),
    *('{"_id": "y", "text": null}', '{"_id": "z", "title": ["t"], "text": "x"}', "q1 d1 1"),
    *("q1\td1", "q1\td1\t1\t2", "q1\td1\t1.5", "q1\td1\tnan", "q1\td1\t-3", "q1\tnowhere\t1"),
    *("query-id\tcorpus-id\tscore", "q1\td1\t99999999999", "\ufeffq1\td1\t1", "\x00" * 40),
)


def run(trials: int, draw: random.Random, scratch: Path) -> Tally:
    """Two fifths datasets, a fifth each of archives, runs and checkpoints."""
    tally = Tally()
    datasets = trials * 2 // 5
    parts = {"datasets": datasets}
    parts |= dict.fromkeys(("archives", "runs", "checkpoints"), (trials - datasets) // 3)
    for kind, count in parts.items():
        before = Tally(**vars(tally))
        {"datasets": _datasets, "archives": _archives, "runs": _runs, "checkpoints": _checkpoints}[
            kind
        ](count, draw, scratch / kind, tally)
        right, told = tally.right - before.right, tally.told - before.told
        tally.notes.append(f"{kind}: {count}, {right} read rightly, {told} refused")
    return tally


# Datasets.


def _datasets(count: int, draw: random.Random, scratch: Path, tally: Tally) -> None:
    good = write_source(scratch / "good", 40, 8, draw)
    for _ in range(count):
        source, world = scratch / "source", World(scratch / "world")
        for folder in (source, world.folder):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(good, source)
        files = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
        done = []
        for _ in range(draw.randrange(1, 4)):
            path = source / draw.choice(files)
            if path.is_file():
                done.append(f"{path.name}: {_hurt_lines(path, draw)}")
        _judge_import(source, world, "; ".join(done), tally)


def _judge_import(source: Path, world: World, what: str, tally: Tally) -> None:
    """An import ends with a sentence, or has read what a plain reader of the format reads."""
    tally.trials += 1
    ended = world.do("datasets", "import", source, "--name", "d")
    if tally.fault(what, ended):
        return
    tally.halves += [f"{what}: {path}" for path in left_over(world.folder)]
    if ended.code != 0:
        there = (world.datasets / "d").exists()
        if not ended.told or there:
            tally.tracebacks.append(f"{what}: {ended.code}, {ended.err[-300:]!r}")
        tally.told += 1
        return
    seen = call(functools.partial(_compare, world.datasets, source))
    if seen.code == 0:
        tally.right += 1
    else:
        tally.wrong.append(f"{what}: {(seen.err or seen.out).strip()[-300:]}")


def _compare(datasets: Path, source: Path, _: Sequence[str]) -> int:
    """Whether a dataset is what a plain reader makes of a BEIR folder, as beir's loader does."""
    from gtr_beir.data.catalogue import load_dataset

    dataset: Any = load_dataset("d", datasets_dir=datasets)
    expected = list(_plain(source / "corpus.jsonl"))
    ids = dataset.document_ids(np.arange(dataset.n_documents))
    if list(ids) != [row["_id"] for row in expected]:
        print(f"other documents: {list(ids)[:4]}")
        return 1
    titles, texts = dataset.titles_and_texts(0, dataset.n_documents)
    for row, title, text in zip(expected, titles, texts, strict=True):
        if ((row.get("title") or ""), (row.get("text") or "")) != (title, text):
            print(f"other text of {row['_id']!r}: {text[:80]!r} instead of {row.get('text')!r}")
            return 1
    judged: dict[str, dict[str, int]] = {}
    lines = (source / "qrels/test.tsv").read_text(encoding="utf-8-sig").splitlines()
    for line in lines[1:]:
        if line.strip():
            query, document, grade = line.split("\t")[:3]
            judged.setdefault(query, {})[document] = int(float(grade))
    queries = {row["_id"]: row.get("text") or "" for row in _plain(source / "queries.jsonl")}
    wanted = {query: text for query, text in queries.items() if query in judged}
    got = dict(zip(dataset.query_ids, dataset.query_texts, strict=True))
    if got != wanted:
        print(f"other queries: {sorted(set(got) ^ set(wanted))[:4]}")
        return 1
    return 0


def _plain(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        with gzip.open(f"{path}.gz", "rt", encoding="utf-8-sig") as lines:
            yield from (json.loads(line) for line in lines if line.strip())
        return
    with path.open(encoding="utf-8-sig", newline="\n") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _hurt_lines(path: Path, draw: random.Random) -> str:
    """Bytes, lines or values of a text file that are others."""
    data = path.read_bytes()
    lines = data.split(b"\n")
    at = draw.randrange(len(lines))

    def value() -> bytes:
        with contextlib.suppress(ValueError, IndexError):
            row = json.loads(lines[at])
            row[draw.choice(list(row))] = draw.choice(VALUES)
            lines[at] = json.dumps(row).encode("utf-8", "surrogatepass")
        return b"\n".join(lines)

    def replaced() -> bytes:
        lines[at] = draw.choice(LINES).encode()
        return b"\n".join(lines)

    def put() -> bytes:
        lines.insert(at, draw.choice(LINES).encode())
        return b"\n".join(lines)

    kinds: dict[str, Callable[[], bytes]] = {
        "a value": value,
        "a line": replaced,
        "a line more": put,
        "a line twice": lambda: b"\n".join([*lines[:at], lines[at], *lines[at:]]),
        "no line end": lambda: data.replace(b"\n", b" ", 1),
        "windows": lambda: data.replace(b"\n", b"\r\n"),
        "a byte order mark": lambda: b"\xef\xbb\xbf" + data,
        "utf-16": lambda: data.decode("utf-8", "replace").encode("utf-16"),
        "a byte": lambda: _flip(data, draw),
        "cut": lambda: data[: draw.randrange(len(data) + 1)],
        "bytes more": lambda: data[: len(data) // 2] + draw.randbytes(30) + data[len(data) // 2 :],
        "deep": lambda: data + b'{"_id": "deep", "text": ' + b"[" * DEEP + b"]" * DEEP + b"}\n",
        "a long line": lambda: data + b'{"_id": "long", "text": "' + b"x" * LARGE + b'"}\n',
        "emptied": lambda: b"",
    }
    kind = draw.choice(list(kinds))
    path.write_bytes(kinds[kind]())
    return kind


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    if changed:
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


# Archives.


def _archives(count: int, draw: random.Random, scratch: Path, tally: Tally) -> None:
    good = write_source(scratch / "good", 40, 8, draw)
    for number in range(count):
        world, archive = World(scratch / "world"), scratch / "d.zip"
        shutil.rmtree(world.folder, ignore_errors=True)
        _remove(archive)
        kind = list(ARCHIVES)[number % len(ARCHIVES)]
        ARCHIVES[kind](good, archive, draw)
        tally.trials += 1
        ended = world.do("datasets", "import", archive, "--name", "d")
        if tally.fault(kind, ended):
            continue
        tally.halves += [f"{kind}: {path}" for path in left_over(world.folder)]
        outside = [
            path for path in scratch.iterdir() if path.name not in ("good", "world", "d.zip")
        ]
        if outside:
            tally.wrong.append(f"{kind}: wrote {outside}")
            for path in outside:
                _remove(path)
        if ended.code != 0:
            if not ended.told:
                tally.tracebacks.append(f"{kind}: {ended.code}, {ended.err[-300:]!r}")
            tally.told += 1
        else:
            seen = call(functools.partial(_compare, world.datasets, good))
            if seen.code == 0:
                tally.right += 1
            else:
                tally.wrong.append(f"{kind}: {(seen.err or seen.out).strip()[-300:]}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _zip(good: Path, *, under: str = "d/", how: int = zipfile.ZIP_DEFLATED) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", how) as archive:
        for path in sorted(good.rglob("*")):
            if path.is_file():
                archive.write(path, f"{under}{path.relative_to(good)}")
    return found.getvalue()


def _with(good: Path, name: str, content: bytes, mode: int = 0o644) -> bytes:
    found = io.BytesIO(_zip(good))
    with zipfile.ZipFile(found, "a", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return found.getvalue()


def _bomb(name: str, byte: bytes) -> Callable[[Path, Path, random.Random], None]:
    def write(_: Path, archive: Path, __: random.Random) -> None:
        with (
            zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed,
            packed.open(f"d/{name}", "w", force_zip64=True) as entry,
        ):
            for _ in range(BOMB):
                entry.write(byte * (1 << 20))

    return write


def _plainly(data: Callable[[Path, random.Random], bytes]) -> Callable[..., None]:
    def write(good: Path, archive: Path, draw: random.Random) -> None:
        archive.write_bytes(data(good, draw))

    return write


def _version(good: Path, _: random.Random) -> bytes:
    data = bytearray(_zip(good))
    for sign, place in ((b"PK\x03\x04", 4), (b"PK\x01\x02", 6)):
        at = data.find(sign)
        while at >= 0:
            struct.pack_into("<H", data, at + place, 99)
            at = data.find(sign, at + 4)
    return bytes(data)


def _encrypted(good: Path, _: random.Random) -> bytes:
    data = bytearray(_zip(good))
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(sign)
        while at >= 0:
            data[at + place] |= 1
            at = data.find(sign, at + 4)
    return bytes(data)


def _fifo(_: Path, archive: Path, __: random.Random) -> None:
    os.mkfifo(archive)


def _loop(_: Path, archive: Path, __: random.Random) -> None:
    archive.symlink_to(archive)


def _folder(good: Path, archive: Path, _: random.Random) -> None:
    shutil.copytree(good, archive)
    (archive / "corpus.jsonl").unlink()
    (archive / "corpus.jsonl").symlink_to("/dev/zero")


ARCHIVES: Mapping[str, Callable[[Path, Path, random.Random], None]] = {
    "good": _plainly(lambda good, _: _zip(good)),
    "a byte": _plainly(lambda good, draw: _flip(_zip(good), draw)),
    "stored, a byte": _plainly(lambda good, draw: _flip(_zip(good, how=zipfile.ZIP_STORED), draw)),
    "cut": _plainly(lambda good, draw: (d := _zip(good))[: draw.randrange(len(d))]),
    "bytes before": _plainly(lambda good, draw: draw.randbytes(50) + _zip(good)),
    "bytes behind": _plainly(lambda good, draw: _zip(good) + draw.randbytes(50)),
    "outside": _plainly(lambda good, _: _with(good, "../../outside.jsonl", b"{}\n")),
    "absolute": _plainly(lambda good, _: _with(good, "/tmp/outside.jsonl", b"{}\n")),
    "a link": _plainly(lambda good, _: _with(good, "d/link", b"/etc/passwd", stat.S_IFLNK | 0o777)),
    "a name twice": _plainly(lambda good, _: _with(good, "d/corpus.jsonl", b'{"_id":"d0"}\n')),
    "two datasets": _plainly(lambda good, _: _with(good, "e/corpus.jsonl", b'{"_id":"d0"}\n')),
    "a newer version": _plainly(_version),
    "encrypted": _plainly(_encrypted),
    "no zip": _plainly(lambda _, draw: draw.randbytes(5000)),
    "empty": _plainly(lambda *_: b""),
    "a zip of nothing": _plainly(lambda *_: b"PK\x05\x06" + bytes(18)),
    "a bomb of zeros": _bomb("corpus.jsonl", b"0"),
    "a bomb of line ends": _bomb("corpus.jsonl", b"\n"),
    "a pipe": _fifo,
    "a loop of links": _loop,
    "a device in a folder": _folder,
}


# Run files.


def _runs(count: int, draw: random.Random, scratch: Path, tally: Tally) -> None:
    source = write_source(scratch / "source", 60, 12, draw)
    world = World(scratch / "world")
    world.must("datasets", "import", source, "--name", "d")
    world.must("run", "bm25-flat", "-d", "d", "-q", "--depth", "30")
    good = gzip.decompress((world.results / "bm25-flat/d/run.trec.gz").read_bytes())
    qrels = _qrels(source)
    for number in range(count):
        path = scratch / ("r.trec.gz" if number % 4 == 3 else "r.trec")
        _remove(path)
        path.write_bytes(good)
        done = [_hurt_run(path, draw) for _ in range(draw.randrange(1, 3))]
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.compress(content)
            content = _flip(content, draw) if draw.random() < 0.5 else content
            path.write_bytes(content)
        tally.trials += 1
        what = f"run, {'; '.join(done)}"
        ended = world.do("score", path, "-d", "d", "--json")
        if tally.fault(what, ended):
            continue
        if ended.code != 0:
            if not ended.told:
                tally.tracebacks.append(f"{what}: {ended.code}, {ended.err[-300:]!r}")
            tally.told += 1
            continue
        expected = _scored(content, qrels)
        found = json.loads(ended.out)["measures"]["ndcg@10"]
        if expected is not None and abs(found - expected) < 5e-5:
            tally.right += 1
        else:
            tally.wrong.append(f"{what}: {found} where trec_eval has {expected}")


def _qrels(source: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in (source / "qrels/test.tsv").read_text().splitlines()[1:]:
        query, document, grade = line.split("\t")
        found.setdefault(query, {})[document] = int(grade)
    return found


def _scored(content: bytes, qrels: dict[str, dict[str, int]]) -> float | None:
    """trec_eval's NDCG@10 of a run file that is split at blanks; None if that is not possible."""
    import pytrec_eval

    ranked: dict[str, dict[str, float]] = {}
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        for line in content.decode("utf-8-sig").split("\n"):
            if line.strip():
                query, _, document, _, score, *_ = line.split()
                ranked.setdefault(query, {})[document] = float(score)
    except (ValueError, OSError, EOFError):
        return None
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"})
    values = evaluator.evaluate({q: r for q, r in ranked.items() if q in qrels})
    return math.fsum(v["ndcg_cut_10"] for v in values.values()) / len(qrels)


def _hurt_run(path: Path, draw: random.Random) -> str:
    data = path.read_bytes()
    lines = data.split(b"\n")
    at = draw.randrange(max(1, len(lines) - 1))

    def column(place: int, values: Sequence[str]) -> bytes:
        parts = lines[at].split()
        if len(parts) > place:
            parts[place] = draw.choice(values).encode()
            lines[at] = b" ".join(parts)
        return b"\n".join(lines)

    numbers = ("nan", "inf", "-inf", "1e400", "x", "", "0x1p3", "1_0", "٣", "-0", "1e-320", "5")
    kinds: dict[str, Callable[[], bytes]] = {
        "a score": lambda: column(4, numbers),
        "a rank": lambda: column(3, (*numbers, "-1", "99999999999999999999")),
        "a document": lambda: column(2, ("d1", "nowhere", "ä", "d1\x00", "D1")),
        "a query": lambda: column(0, ("q1", "nowhere", "q1\u00a0", "Q1")),
        "a column less": lambda: data.replace(b" Q0 ", b" ", 1),
        "a column more": lambda: data.replace(b" Q0 ", b" Q0 Q0 ", 1),
        "tabs": lambda: data.replace(b" ", b"\t"),
        "windows": lambda: data.replace(b"\n", b"\r\n"),
        "a byte order mark": lambda: b"\xef\xbb\xbf" + data,
        "in any order": lambda: b"\n".join(draw.sample(lines, len(lines))),
        "a line twice": lambda: b"\n".join([*lines[:at], lines[at], *lines[at:]]),
        "a byte": lambda: _flip(data, draw),
        "cut": lambda: data[: draw.randrange(len(data) + 1)],
        "emptied": lambda: b"",
        "a long line": lambda: data + b"q1 Q0 " + b"x" * LARGE + b" 1 1 t\n",
        "equal scores": lambda: b"\n".join(
            b" ".join([*p[:4], b"1", *p[5:]]) if len(p := line.split()) > 5 else line
            for line in lines
        ),
    }
    kind = draw.choice(list(kinds))
    path.write_bytes(kinds[kind]())
    return kind


# Checkpoints.

T5X = SCIFACT.parents[1] / "t5x" / "test_de_t5_tiny.checkpoint_1000"


def _checkpoints(count: int, draw: random.Random, scratch: Path, tally: Tally) -> None:
    source = write_source(scratch / "source", 60, 12, draw)
    world = World(scratch / "world")
    world.must("datasets", "import", source, "--name", "d")
    bases = {"": Path(GTR), "colbert:": Path(COLBERT_DIR)}
    if T5X.is_dir():
        bases["t5x:"] = T5X
    else:
        tally.notes.append(f"no T5X checkpoint in {T5X}")
    right = {}
    for before, base in bases.items():
        world.must(*_search(before, base))
        right[before] = digest_of_result(world.results / "one/d")
        shutil.rmtree(world.results)
    for number in range(count):
        before = ("", "colbert:", "t5x:" if "t5x:" in bases else "")[number % 3]
        folder = scratch / "checkpoint"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(bases[before], folder)
        # In a fork: threads of torch in this process would be missing in the forks to come.
        hurt = call(functools.partial(_hurt_all, folder, draw.randrange(1, 3), draw.random()))
        if hurt.code != 0:
            raise SystemExit(hurt.err)
        what = f"{before or 'gtr:'} {hurt.out.strip()}"
        shutil.rmtree(world.results, ignore_errors=True)
        tally.trials += 1
        ended = world.do(*_search(before, folder))
        if tally.fault(what, ended):
            continue
        if ended.code != 0:
            if not ended.told:
                tally.tracebacks.append(f"{what}: {ended.code}, {ended.err[-300:]!r}")
            tally.told += 1
        elif digest_of_result(world.results / "one/d") == right[before]:
            tally.right += 1
        else:
            # Of T5X nobody else's reader is here. The tree holds weights, and other weights are
            # another checkpoint; but what is described otherwise may not be read.
            if before == "t5x:" and ".zarray" not in what and ".gin" not in what:
                tally.right += 1
                continue
            seen = call(functools.partial(_as_library, folder, before))
            if seen.code == 0:
                tally.right += 1
            else:
                tally.wrong.append(f"{what}: {(seen.out + seen.err).strip()[:300]}")


def _search(before: str, folder: Path) -> Sequence[str]:
    own = {"": ("--protocol", "hub"), "t5x:": ("--tokenizer", GTR)}.get(before, ())
    name = ("run", f"{before}{folder}", "-d", "d", "-q", "--offline", "--device", "cpu")
    return (*name, "--label", "one", *own)


def _as_library(folder: Path, before: str, _: Sequence[str]) -> int:
    """Whether a checkpoint that was accepted gives the vectors that sentence-transformers gives."""
    if before == "t5x:":
        print("other scores of another description")
        return 1
    late = bool(before)
    import sentence_transformers

    from gtr_beir import load_system

    texts = ["rain on the lake", "Bread, flour and salt.", "wind " * 40]
    system: Any = load_system(f"colbert:{folder}" if late else str(folder), device="cpu")
    if late:
        model: Any = _library(sentence_transformers.MultiVectorEncoder, folder)
        expected = np.concatenate([np.asarray(v.cpu()) for v in model.encode_document(texts)])
        found = system.encoder.encode(texts, kind="document")[0].vectors
    else:
        model = _library(sentence_transformers.SentenceTransformer, folder)
        expected = model.encode_document(texts, normalize_embeddings=system.encoder.normalises)
        limit = system.encoder.own_length
        found = system.encoder.encode(texts, kind="document", max_tokens=limit).vectors
    apart = "of another shape" if found.shape != expected.shape else np.abs(found - expected).max()
    if isinstance(apart, str) or not apart < 1e-4:
        print(f"vectors {apart} apart from sentence-transformers'")
        return 1
    return 0


def _library(kind: Any, folder: Path) -> Any:
    """The library's own; where it cannot load what nobody needs for a vector, there is nothing to
    compare with."""
    how = {"device": "cpu", "local_files_only": True, "model_kwargs": {"dtype": "float32"}}
    try:
        return kind(str(folder), **how)
    except Exception:
        raise SystemExit(0) from None


def _hurt_all(folder: Path, times: int, seed: float, _: Sequence[str]) -> int:
    draw = random.Random(seed)
    print("; ".join(_hurt_checkpoint(folder, draw) for _ in range(times)))
    return 0


def _hurt_checkpoint(folder: Path, draw: random.Random) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if not files:
        return "nothing left"
    if (folder / "checkpoint").is_file():
        return _hurt_t5x(folder, draw)
    path = draw.choice(files)
    kinds: dict[str, Callable[[Path, random.Random], str]] = {
        "value": _hurt_json,
        "file": _hurt_file,
        "weights": _hurt_weights,
    }
    kind = draw.choices(list(kinds), (6, 2, 3))[0]
    if kind == "value" and path.suffix != ".json":
        path = draw.choice([f for f in files if f.suffix == ".json"] or [path])
    if kind == "weights":
        path = draw.choice([f for f in files if f.suffix == ".safetensors"] or [path])
    return f"{path.relative_to(folder)} {kinds[kind](path, draw)}"


def _hurt_t5x(folder: Path, draw: random.Random) -> str:
    """What describes the arrays: gin, the tree, and each array's own description."""
    found = draw.choice(("gin", "gin", "tree", "array", "array", "array"))
    if found == "array":
        path = draw.choice(sorted(folder.rglob(".zarray")))
        kind = draw.choice(("json", "json", "json", "file"))
        act = {"json": _hurt_json, "file": _hurt_file}[kind]
        return f"{path.relative_to(folder)} {act(path, draw)}"
    path = folder / "checkpoint"
    if found == "gin":
        gins = sorted({*folder.rglob("*.gin"), *folder.parent.glob("*.gin")})
        path = draw.choice(gins) if gins else path
    data = path.read_bytes()
    at = draw.randrange(len(data))
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    if digits and draw.random() < 0.6:
        at = draw.choice(digits)
        data = data[:at] + draw.choice("0123456789").encode() + data[at + 1 :]
    else:
        data = _flip(data, draw)
    path.write_bytes(data)
    return f"{path.name} byte {at}"


def _hurt_json(path: Path, draw: random.Random) -> str:
    """One value of a JSON file."""
    try:
        whole = json.loads(path.read_bytes())
    except (ValueError, OSError, RecursionError):
        return "(no JSON)"
    kind = draw.choice(
        ("replaced", "replaced", "replaced", "deleted", "in a list", "deep", "digit")
    )
    if kind == "deep":
        path.write_text('{"a": ' + "[" * DEEP + "]" * DEEP + "}")
        return kind
    if kind == "in a list":
        path.write_text(json.dumps([whole]))
        return kind
    place, holder, key = str(path.name), None, None
    current: Any = whole
    for _ in range(draw.randrange(1, 4)):
        if isinstance(current, dict) and current and len(current) < 3000:
            holder, key = current, draw.choice(list(current))
        elif isinstance(current, list) and current and len(current) < 3000:
            holder, key = current, draw.randrange(len(current))
        else:
            break
        current = holder[key]
        place += f".{key}"
    if holder is None:
        return "(empty)"
    if kind == "deleted":
        del holder[key]
    elif kind == "digit" and isinstance(current, int) and not isinstance(current, bool):
        holder[key] = current + draw.choice((-1, 1, 7))
    else:
        holder[key] = draw.choice(VALUES)
        place += f" = {holder[key]!r}"[:60]
    path.write_bytes(json.dumps(whole).encode("utf-8", "surrogatepass"))
    return f"{kind} {place}"


def _hurt_file(path: Path, draw: random.Random) -> str:
    data = path.read_bytes()
    kind = draw.choice(("deleted", "emptied", "cut", "a byte", "a device", "a pipe", "a folder"))
    if kind in ("cut", "a byte", "emptied"):
        changed = {"cut": data[: len(data) // 2], "a byte": _flip(data, draw), "emptied": b""}
        path.write_bytes(changed[kind])
        return kind
    path.unlink()
    if kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    return kind


def _hurt_weights(path: Path, draw: random.Random) -> str:
    """An array of a safetensors file: transposed, renamed, of another type, one more, one less."""
    import torch
    from safetensors.torch import load_file, save_file

    try:
        arrays = load_file(path)
    except Exception:  # it was hurt before
        return "(no weights)"
    name = draw.choice(sorted(arrays))
    kind = draw.choice(
        ("transposed", "renamed", "fp8", "int8", "more", "less", "not finite", "half", "shards")
    )
    if kind == "transposed":
        arrays[name] = arrays[name].T.contiguous() if arrays[name].ndim == 2 else arrays[name]
    elif kind == "renamed":
        arrays[f"{name}.other"] = arrays.pop(name)
    elif kind == "fp8":
        arrays = {each: values.to(torch.float8_e4m3fn) for each, values in arrays.items()}
    elif kind == "int8":
        arrays[name] = (arrays[name].float() * 100).to(torch.int8)
    elif kind == "more":
        arrays[name.replace(".0.", ".7.")] = arrays[name].clone()
    elif kind == "less":
        del arrays[name]
    elif kind == "not finite":
        arrays[name] = torch.full_like(arrays[name], math.nan)
    elif kind == "half":
        arrays = {each: values.half() for each, values in arrays.items()}
    if kind == "shards":
        path.rename(path.parent.parent / "elsewhere.safetensors")
        shards = dict.fromkeys(arrays, "../elsewhere.safetensors")
        index = json.dumps({"metadata": {}, "weight_map": shards})
        path.with_name("model.safetensors.index.json").write_text(index)
        return kind
    save_file(arrays, path, metadata={"format": "pt"})
    return f"{kind} {name}"
