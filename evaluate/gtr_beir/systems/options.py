"""What a user can choose about a system, declared once.

A system's Options are a frozen dataclass whose fields are made by `option`. The command line's
flags, the refusal of what a system does not know, and the suffix of its name are derived from
them, so that a new option is a line in one file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from gtr_beir.errors import UsageError

PRECISIONS = ("fp32", "tf32", "fp16", "bf16")
"""What products of an encoder can run in, here because the command line starts without torch."""
_KEY = "choice"


@dataclass(frozen=True)
class Choice:
    """One option.

    help: for the command line, a sentence that needs no flag beside it; parse: from the word on the
    command line (bool: a flag alone where the default is False, else --x and --no-x); metavar: what
    stands for the word; allowed: the values there are, if few; least: of a number; decides: whether
    it changes scores, so that it belongs to the name; shown: the value in a name (None:
    `option=value`).
    """

    help: str
    parse: Callable[[str], Any]
    metavar: str | None
    allowed: tuple[str, ...]
    least: float | None
    decides: bool
    shown: Callable[[Any], str] | None


def option(
    default: Any,
    help: str,
    *,
    parse: Callable[[str], Any] = str,
    metavar: str | None = None,
    allowed: tuple[str, ...] = (),
    least: float | None = None,
    decides: bool = False,
    shown: Callable[[Any], str] | None = None,
) -> Any:
    """A field of an Options class; see Choice."""
    choice = Choice(help, parse, metavar, allowed, least, decides, shown)
    return field(default=default, metadata={_KEY: choice})


@dataclass(frozen=True)
class Options:
    """Base of every system's options; a value that is not allowed is a UsageError."""

    def __post_init__(self) -> None:
        for name, choice in choices(type(self)).items():
            value = getattr(self, name)
            if value is None and type(self).__dataclass_fields__[name].default is None:
                continue
            if not _is_of(value, choice.parse):
                raise UsageError(
                    f"{flag(name)} {value!r} is not possible; give {_KINDS[choice.parse]}"
                )
            if choice.allowed and value not in choice.allowed:
                raise UsageError(
                    f"there is no {flag(name)[2:]} '{value}'; choose {_either(choice.allowed)}"
                )
            if choice.least is not None and value < choice.least:
                raise UsageError(
                    f"{flag(name)} {value} is not possible; give {choice.least:g} or more"
                )

    def chosen(self) -> dict[str, Any]:
        """The options that are not as by default."""
        return {
            entry.name: getattr(self, entry.name)
            for entry in fields(self)
            if getattr(self, entry.name) != entry.default
        }

    def marks(self, as_usual: Iterable[str] = ()) -> dict[str, str]:
        """Of the chosen ones those that change scores: name -> how it is shown in a name. as_usual:
        options whose value turned out to be what would have been used anyway."""
        found = {}
        for name, value in self.chosen().items():
            choice = choices(type(self))[name]
            if choice.decides and name not in as_usual:
                found[name] = choice.shown(value) if choice.shown else f"{name}={value}"
        return found

    @classmethod
    def of(cls, system: str, given: Mapping[str, Any]) -> Self:
        """Options from names and values; UsageError for a name that `system` does not have."""
        unknown = [name for name in given if name not in choices(cls)]
        if unknown:
            had = ", ".join(flag(name) for name in choices(cls)) or "none of its own"
            raise UsageError(
                f"{system} has no {', '.join(flag(name) for name in unknown)}; its options are "
                f"{had}"
            )
        return cls(**given)


def choices(options: type[Options]) -> dict[str, Choice]:
    """The options of a system by name, in the order in which they are declared."""
    return {entry.name: entry.metadata[_KEY] for entry in fields(options)}


def flag(name: str) -> str:
    """`query_length` -> `--query-length`"""
    return f"--{name.replace('_', '-')}"


def add_flags(group: argparse._ArgumentGroup, options: type[Options], known: set[str]) -> None:
    """Add a flag for each option that is not `known` yet (and is then). Flags that are not given
    leave nothing in the namespace."""
    for name, choice in choices(options).items():
        if name in known:
            continue
        known.add(name)
        if choice.parse is bool:
            alone = options.__dataclass_fields__[name].default is False
            group.add_argument(
                flag(name),
                action="store_true" if alone else argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=choice.help,
            )
        else:
            group.add_argument(
                flag(name),
                type=choice.parse,
                metavar=choice.metavar or "|".join(choice.allowed) or None,
                default=argparse.SUPPRESS,
                help=choice.help,
            )


_KINDS: Mapping[Callable[[str], Any], str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
}


def _is_of(value: Any, parse: Callable[[str], Any]) -> bool:
    """Whether a value is of the type that the option is parsed to, where that is a plain one."""
    if parse is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if parse is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(parse, type) or isinstance(value, parse)


def _either(values: tuple[str, ...]) -> str:
    """'a', 'b' or 'c'"""
    quoted = [f"'{value}'" for value in values]
    return " or ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


@dataclass(frozen=True)
class EncoderOptions(Options):
    """What can be chosen about anything that encodes."""

    dtype: str | None = option(
        None,
        "precision of the encoder: fp32, or one that is faster where the device has it: tf32, "
        "fp16 (GTR only) or bf16, which rounds most (default: fp32)",
        allowed=PRECISIONS,
    )
    device: str | None = option(
        None,
        "where the encoder runs: cpu, cuda, cuda:1, or several that share the work, "
        "cuda:0,cuda:1 (default: a GPU if there is one)",
    )
    revision: str | None = option(None, "commit, tag or branch to use of a checkpoint on the hub")
    offline: bool = option(False, "fetch nothing, neither checkpoints nor datasets", parse=bool)
