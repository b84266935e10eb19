"""`gtr-beir completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import argparse

from gtr_beir.cli.options import Commands

_SHELLS = ("bash", "zsh", "tcsh")


def add_completion(
    commands: Commands[argparse.ArgumentParser], program: argparse.ArgumentParser
) -> None:
    """program: the parser of all commands."""
    parser = commands.add_parser(
        "completion",
        help="print a shell's completion of commands and options",
        description="Print what a shell needs to complete the commands and options. In bash: "
        "gtr-beir completion bash > ~/.local/share/bash-completion/completions/gtr-beir",
    )
    parser.add_argument("shell", choices=_SHELLS, help="the shell that it is for")
    parser.set_defaults(act=lambda options: _completion(program, options.shell))


def _completion(program: argparse.ArgumentParser, shell: str) -> None:
    import shtab

    print(shtab.complete(program, shell))
