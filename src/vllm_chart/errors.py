"""What a person at the terminal can mend, told in one sentence."""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Something that the person at the terminal can mend. The text says what, where and what to do."""

    exit_code = 1


class InputError(UserError):
    """What a command was given can't be used: a file, a name or a number."""

    exit_code = 2


class CommandError(UserError):
    """A program that this project ran has failed. `output` holds the end of what it printed."""

    def __init__(self, command: Sequence[str], code: int, output: str) -> None:
        self.command, self.code, self.output = list(command), code, output
        tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-15:])
        super().__init__(f"`{' '.join(command[:4])}{' …' if len(command) > 4 else ''}` failed ({code}):\n{tail}")
