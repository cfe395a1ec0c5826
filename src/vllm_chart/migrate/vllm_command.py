"""Reads how a container starts vLLM, in every spelling that guides use, into flags with typed values."""

from __future__ import annotations

import functools
import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vllm_chart.invariants import vllm_arguments
from vllm_chart.invariants.vllm_arguments import opposites

#: A map of the values that a flag may have: text, number, true or false, a list or a map.
Flags = dict[str, Any]

_SHELLS = ("sh", "bash", "ash", "dash", "zsh")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_VARIABLE = re.compile(r"\$\(([A-Za-z_]\w*)\)|\$\{([A-Za-z_]\w*)(?::?-([^}]*))?\}|\$([A-Za-z_]\w*)")
_KUBERNETES_VARIABLE = re.compile(r"\$\(([A-Za-z_]\w*)\)")
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")
_JSON_TYPES = ("loads", "parse_dataclass", "union_dict_and_str")


@dataclass
class Start:
    """What a container's command says.

    Attributes:
        model: the model as vLLM is told it; empty where none is named.
        flags: values by the flag's own name without dashes.
        absent: values of flags that this vLLM does not have, by name.
        environment: variables that a shell sets in front of the program.
        beside: other commands of the shell's script, as they stand there.
        remarks: what was read in another way than it is written, by flag.
    """

    model: str = ""
    flags: Flags = field(default_factory=dict)
    absent: Flags = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)
    remarks: dict[str, str] = field(default_factory=dict)


def read(container: Mapping[str, Any], version: str) -> Start | None:
    """Return what a container's command says of vLLM, or None where it does not run `vllm serve`.

    Args:
        container: a container of a pod's spec.
        version: the vLLM whose flags are known, such as 0.32.0.
    """
    environment = {
        item["name"]: str(item["value"]) for item in container.get("env", []) if item.get("value") is not None
    }
    words = [str(word) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
    start = Start()
    if not container.get("command"):
        # the image's entrypoint, which was the module of the server in older ones
        if "vllm" not in str(container.get("image", "")) or _script(words) is not None:
            return None
        rest: list[str] | None = words[2:] if words[:2] == ["vllm", "serve"] else words
    elif (script := _script(words)) is not None:
        rest = _in_script(script, start)
        rest = rest and [expand(word, environment | start.environment, _VARIABLE) for word in rest]
    else:
        rest = _server(words)
    if rest is None:
        return None
    rest = [expand(word, environment, _KUBERNETES_VARIABLE) for word in rest]
    read_flags(rest, version, start)
    return start


def expand(word: str, environment: Mapping[str, str], pattern: re.Pattern[str] = _VARIABLE) -> str:
    """Return a word with the variables whose value is known; the others stay as they are written."""

    def value(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group)
        default = match.group(3) if match.re.groups > 1 else None
        return environment.get(name, match.group() if default is None else default)

    return pattern.sub(value, word)


def variable(word: str) -> str:
    """Return the name of the variable that a word consists of, as API_KEY of ${API_KEY}; empty if it does not."""
    found = _VARIABLE.fullmatch(word)
    return next((group for group in found.groups() if group), "") if found else ""


def _script(words: Sequence[str]) -> str | None:
    """Return the script that a shell is given by -c, with any flags beside it."""
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return None
    for index, word in enumerate(words[1:-1], start=1):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word):
            return words[index + 1]
    return None


def _in_script(script: str, start: Start) -> list[str] | None:
    """Return the words after the server's program in a script, and note what else the script does."""
    found: list[str] | None = None
    for words in _commands(script):
        rest = list(words)
        assigned = {}
        while rest and (_ASSIGNMENT.match(rest[0]) or rest[0] in ("exec", "env", "nohup", "export", "time")):
            word = rest.pop(0)
            if _ASSIGNMENT.match(word):
                name, _, text = word.partition("=")
                assigned[name] = text
        server = _server(rest)
        if server is not None and found is None:
            found = server
            start.environment |= assigned
        elif not rest and found is None:
            start.environment |= assigned
        elif words[0] != "set":
            start.beside.append(shlex.join(words))
    return found


def _commands(script: str) -> Iterator[list[str]]:
    """The commands of a shell script, as lists of words; what it means beyond that is not read."""
    lines = [line for line in script.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#")]
    lexer = shlex.shlex(re.sub(r"\s\d?>&\d", " ", "\n".join(lines)), posix=True, punctuation_chars=";|&\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in lexer:
        if word and not word.strip(";|&\n"):
            if words:
                yield words
            words = []
        else:
            words.append(word)
    if words:
        yield words


def _server(words: Sequence[str]) -> list[str] | None:
    """Return the words after `vllm serve` or after the server's module; None where the program is another."""
    if not words:
        return None
    program = words[0].rpartition("/")[2]
    if program == "vllm":
        return list(words[2:]) if words[1:2] == ["serve"] else None
    if not re.fullmatch(r"python[\d.]*", program):
        return None
    for index, word in enumerate(words[:-1]):
        if word == "-m" and words[index + 1].startswith("vllm.entrypoints.openai"):
            return list(words[index + 2 :])
        if (
            word == "-m"
            and words[index + 1].startswith("vllm.entrypoints.cli")
            and words[index + 2 : index + 3] == ["serve"]
        ):
            return list(words[index + 3 :])
    return None


@functools.cache
def _names(version: str) -> dict[str, tuple[str, vllm_arguments.Flag, bool]]:
    """Every spelling of a flag, with its own name, what the parser says of it, and whether the spelling negates it."""
    found = {}
    for flag in vllm_arguments.parser(version).flags:
        negated = opposites(flag.names)
        own = next((name for name in flag.names if name.startswith("--") and name not in negated), "")
        for spelling in flag.names if own else ():
            found[spelling] = (own.removeprefix("--"), flag, spelling in negated)
    return found


def read_flags(words: Sequence[str], version: str, start: Start) -> None:  # noqa: PLR0912 (as argparse branches)
    """Read the words after the program into a start."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            if start.model:
                start.remarks[word] = "belongs to no flag"
            else:
                start.model = word
            continue
        spelling, equals, text = word.partition("=")
        head, dot, path = spelling.partition(".")
        head = head.replace("_", "-") if head.startswith("--") else head
        known = _found(head, version)
        if known is None:
            values = [text] if equals else _until_flag(rest)
            start.absent[head.lstrip("-")] = _joined(values)
            continue
        name, flag, negated = known
        if flag.nargs == 0:
            start.flags[name] = not negated
            said = text if equals else rest[0] if rest and rest[0].lower() in (*_TRUE, *_FALSE) else ""
            if said:
                start.flags[name] = said.lower() in _TRUE
                start.remarks[f"--{name}"] = f'vLLM {version} refuses the word "{said}" behind a switch'
                if not equals:
                    rest.pop(0)
            continue
        values = [text] if equals else []
        if flag.nargs is None and not equals and rest:
            values = [rest.pop(0)]
        elif flag.nargs is not None and not equals:
            values = _until_flag(rest)[: 1 if flag.nargs == "?" else None]
        typed = [_typed(value, flag) for value in values]
        if dot:
            _nest(start.flags.setdefault(name, {}), path, _scalar(values[0]) if values else True)
        elif flag.action == "_AppendAction":
            start.flags[name] = [*start.flags.get(name, []), *typed]
        elif flag.nargs in ("+", "*"):
            start.flags[name] = typed
        else:
            start.flags[name] = typed[0] if typed else None
    if "model" in start.flags:
        start.model = str(start.flags.pop("model"))


def _found(spelling: str, version: str) -> tuple[str, vllm_arguments.Flag, bool] | None:
    """Return the flag of a spelling, or of the only long one that it begins, as vLLM's parser does."""
    known = _names(version)
    if spelling in known:
        return known[spelling]
    begun = {entry[0]: entry for name, entry in known.items() if name.startswith(spelling)}
    return next(iter(begun.values())) if len(begun) == 1 and spelling.startswith("--") else None


def _until_flag(rest: list[str]) -> list[str]:
    """Take the words up to the next flag."""
    values = []
    while rest and not re.match(r"--?[a-zA-Z]", rest[0]):
        values.append(rest.pop(0))
    return values


def _joined(values: list[str]) -> Any:
    if not values:
        return True
    return _scalar(values[0]) if len(values) == 1 else values


def _scalar(text: str) -> Any:
    """Return a number, a truth or JSON where a text is one."""
    if re.match(r"\s*[\[{]", text) or re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?|true|false", text):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _typed(text: str, flag: vllm_arguments.Flag) -> Any:
    """Return a flag's value in the type in which a values file holds it."""
    if flag.type == "str" or (flag.choices and text in flag.choices):
        return text
    if flag.type in _JSON_TYPES and not re.match(r"\s*[\[{]", text):
        return text
    value = _scalar(text)
    if flag.type is None and isinstance(value, int | float):
        return text
    return value


def _nest(into: dict[str, Any], path: str, value: Any) -> None:
    *heads, last = path.split(".")
    for key in heads:
        into = into.setdefault(key, {})
    into[last] = value
