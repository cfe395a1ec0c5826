"""Runs a command as a program: the entry point of `vllm-chart` and of every module that is run by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from vllm_chart.errors import UserError
from vllm_chart.progress import styled


def main(command: Callable[[], object], *, mistake: int = 1) -> NoReturn:
    """Run a command as a program: a user's mistake ends in one sentence and its exit code, Ctrl-C in 130."""
    try:
        command()
    except UserError as error:
        print(styled("bad", f"✗ {error}", sys.stderr), file=sys.stderr)
        sys.exit(max(mistake, error.exit_code))
    except KeyboardInterrupt:
        print("\n✗ Interrupted. Nothing half-made is kept; the same command goes on from here.", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)
