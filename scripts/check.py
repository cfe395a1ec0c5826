"""`make check VALUES=a.yaml,b.yaml`: `harness check` with the project's own Helm and the chart of this checkout."""

from __future__ import annotations

import os
import shlex
import sys

from scripts import tools
from scripts.common import ROOT, UserError, main

sys.path.insert(0, str(ROOT / "tests"))
from harness import __main__ as harness


def run() -> None:
    """Check the files that VALUES names; JUNIT names a file for the result, CHECK_FLAGS holds more options."""
    values, junit = os.environ.get("VALUES", ""), os.environ.get("JUNIT", "")
    try:
        if not values:
            raise UserError("No values file is named: write `make check VALUES=my-values.yaml`, with commas for more.")
        tools.put_on_path("helm")
    except UserError as error:
        print(f"✗ {error}", file=sys.stderr)
        sys.exit(harness.UNKNOWN)
    options = ["--junit", junit] if junit else []
    sys.exit(harness.main(["check", "-f", values, *options, *shlex.split(os.environ.get("CHECK_FLAGS", ""))]))


if __name__ == "__main__":
    main(run)
