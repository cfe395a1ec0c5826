"""Runs `vllm-chart` in this process, as its entry point does."""

from __future__ import annotations

import re

import pytest

from vllm_chart import cli


def vllm_chart(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Return the exit code, standard output, and standard error without lines of progress."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["vllm-chart", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.run()
    assert isinstance(end.value.code, int)
    out, errors = capsys.readouterr()
    assert "Traceback" not in out + errors
    assert "\x1b" not in out + errors
    return end.value.code, out, without_progress(errors)


def without_progress(errors: str) -> str:
    """Return standard error without the lines that a slow machine gets."""
    return re.sub(r"^… .*\n", "", errors, flags=re.MULTILINE)
