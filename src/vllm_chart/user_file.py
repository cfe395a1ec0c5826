"""Reads a file that a user names, or says in one sentence why it cannot be read."""

from __future__ import annotations

import sys
from pathlib import Path

from vllm_chart.errors import InputError

#: Standard input, as a file that can be read once.
STDIN = Path("-")


def label(file: Path) -> str:
    """Return the name of a file in messages."""
    return "standard input" if file == STDIN else str(file)


def read(file: Path, kind: str, largest: int = 2**24) -> str:
    """Return the text of a file, or of standard input.

    Args:
        file: its path; STDIN for standard input.
        kind: what the file should be, for the remedy, e.g. `values file`.
        largest: size limit in bytes.

    Raises:
        InputError: if it cannot be read, or is not text in UTF-8.
    """
    name = label(file)
    try:
        if file == STDIN:
            raw = sys.stdin.buffer.read(largest + 1)
        else:
            with file.open("rb") as stream:
                raw = stream.read(largest + 1)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file. Name an existing {kind}.") from None
    except IsADirectoryError:
        raise InputError(f"{name}: is a folder. Name a {kind} in it.") from None
    except PermissionError:
        raise InputError(f"{name}: permission denied. Make the file readable.") from None
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        raise InputError(f"{name}: {getattr(error, 'strerror', None) or error}. Name another {kind}.") from None
    if len(raw) > largest:
        raise InputError(f"{name}: larger than {largest / 2**20:.0f} MiB. Name a smaller {kind}.")
    if raw.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{name}: starts with a byte order mark. Save it as UTF-8 without one.")
    if b"\0" in raw:
        raise InputError(f"{name}: is a binary file. Name a {kind}.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{name}:{line}: not UTF-8. Save the file as UTF-8.") from None
    if not text.strip():
        raise InputError(f"{name}: empty. Name a {kind} with content.")
    return text
