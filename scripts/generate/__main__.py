"""`make generate`: writes every file that is generated; `--check` only reports which are stale."""

from __future__ import annotations

import argparse

from ci.common import ROOT
from scripts.generate import registry
from vllm_chart.entry_point import main
from vllm_chart.errors import UserError
from vllm_chart.render.helm import HelmError


def write() -> None:
    """Write every stale file.

    Raises:
        UserError: if Helm rejects the chart.
    """
    try:
        for path in registry.write():
            print(f"{'wrote' if path.exists() else 'deleted'} {path.relative_to(ROOT)}")
    except HelmError as error:
        raise UserError(f"The snapshots cannot be rendered. {error}") from None


def check() -> None:
    """Report every stale file.

    Raises:
        UserError: if there are any.
    """
    lines = []
    try:
        for path, _ in registry.every_stale():
            lines.append(f"{path.relative_to(ROOT)} is stale")
    except HelmError as error:
        lines = lines or [f"The snapshots cannot be rendered. {error}"]  # a stale schema may be the reason
    if lines:
        raise UserError("\n".join([*lines, "run `make generate`"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m scripts.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="report stale files instead of writing them")
    main(check if parser.parse_args().check else write)
