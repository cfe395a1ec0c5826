"""Generates the chart's two schemas from values.schema.yaml, the comments of values.yaml, and lists of other files.

The lists are vLLM's flags, Kubernetes' types, the chart's checks and its alerts. values.schema.json is for Helm;
editor.schema.json accepts the same values and adds descriptions, for editors.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from scripts.generate import sources
from vllm_chart import accelerators
from vllm_chart.chart import CHART, DATA, app_version
from vllm_chart.errors import UserError
from vllm_chart.invariants.vllm_arguments import opposites
from vllm_chart.render import go_yaml

SOURCE = CHART / "values.schema.yaml"
TARGET = CHART / "values.schema.json"
#: Helm shows nobody a description, and keeps the schema in the Secret of each revision of a release.
EDITOR_TARGET = CHART / "editor.schema.json"
FLAG_NOTES = DATA / "flags.yaml"

Schema = dict[str, Any]

# Helm shows a pattern that does not match; its first alternative, which matches nothing, is there to be read.
INTEGER = r"(write a whole number)^|^-?\d+$"
NUMBER = r"(write a number, e.g. 0.9)^|^-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
# vLLM reads 32k and 0.5k as 32000 and 500, 32K as 32768, and refuses 0.5K.
HUMAN_INTEGER = r"(write a number, e.g. 4096 or 32k)^|^(-?\d+|\d+[KMGT]|\d+(\.\d+)?[kmgt])$"
# An amount in Kubernetes, such as 500m, 16Gi or 1e3.
QUANTITY = r"(write a quantity, e.g. 500m, 4 or 16Gi)^|^[-+]?(\d+\.?\d*|\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?\d+)?$"

#: Fields that an overlay of a pod leaves to what it lies over, though Kubernetes wants them.
OVERLAID = {"VolumeMount": "name", "TopologySpreadConstraint": "maxSkew"}
OVERLAID |= dict.fromkeys(("HTTPGetAction", "TCPSocketAction", "GRPCAction"), "port")

#: Fields that an API server wants, though the API's definition does not say so.
NEEDED = dict.fromkeys(("ConfigMapEnvSource", "SecretEnvSource", "ConfigMapKeySelector", "SecretKeySelector"), "name")

#: Fields of a type that an API server refuses where the chart writes it: those of a running pod, and all but these of a
#: claim that is made for a pod.
REFUSED = {"PodSpec": {"ephemeralContainers"}}
KEPT = {"ObjectMeta": {"annotations", "labels"}}

#: A list of texts as JSON, whole, as vLLM ends at the start on anything less.
_TEXT = r'"([^"\\\x00-\x1f]|\\(["\\/bfnrt]|u[0-9a-fA-F]{4}))*"'
JSON_TEXTS = rf"(write a list)^|^\s*\[\s*({_TEXT}\s*(,\s*{_TEXT}\s*)*)?\]\s*$"

#: What Helm prints of values in which null removed a default.
REMOVED_DEFAULT = "(null removes a default that the chart requires: leave the missing key out, or give it a value)"

#: Characters of JSON that may stand on one line of the file.
LINE = 160

WORD: Schema = {"type": ["string", "null"]}
JSON_MAP: Schema = {"type": ["object", "string", "null"], "pattern": r"(write a map)^|^\s*\{"}

#: How a value of another type than wanted is refused with a text, by its type. Helm 3.17 looks no further at a type
#: that is not listed, so the type is listed, and next to nothing of it is valid.
INSTEAD: dict[str, Callable[[str], Schema]] = {
    "array": lambda text: {"items": {"const": text}, "minItems": 1},
    "object": lambda text: {"additionalProperties": {"const": text}, "minProperties": 1},
    "string": lambda text: {"pattern": f"{text}^"},
}

#: The schema of one value of a flag, by the function with which the parser reads it. `--set` gives a number like 0.9 as
#: text, and null omits a flag.
BY_TYPE: dict[str | None, Schema] = {
    None: WORD,
    "str": WORD,
    "int": {"type": ["integer", "string", "null"], "pattern": INTEGER},
    "float": {"type": ["number", "string", "null"], "pattern": NUMBER},
    "human_readable_int": {"type": ["integer", "string", "null"], "pattern": HUMAN_INTEGER},
    "human_readable_int_or_auto": {
        "type": ["integer", "string", "null"],
        "pattern": f"^auto$|{HUMAN_INTEGER}",
    },
    "loads": JSON_MAP,
    "parse_dataclass": JSON_MAP,
    "union_dict_and_str": {"type": ["object", "string", "null"]},
    # comma-separated numbers, of which there may be one
    "<lambda>": {"type": ["integer", "string", "null"]},
}


def flag_value(argument: dict[str, Any], json_list: bool) -> Schema:
    """Return the schema of one flag's value, from one entry of the parser's dump.

    Raises:
        ValueError: when the parser reads it with a function that BY_TYPE has not.
    """
    several = argument["nargs"] in ("+", "*") or argument["action"] == "_AppendAction"
    if argument["nargs"] == 0:
        return {"type": ["boolean", "null"]}
    if argument["choices"]:
        one: Schema = {"enum": list(dict.fromkeys([*argument["choices"], None]))}
        return {"type": ["array", "null"], "items": one} if several else one
    if json_list:
        return {"type": ["array", "string", "null"], "items": {"type": "string"}, "pattern": JSON_TEXTS}
    if argument["type"] not in BY_TYPE:
        raise ValueError(f"{argument['flags'][0]} is read by {argument['type']}, which BY_TYPE does not know")
    one = dict(BY_TYPE[argument["type"]])
    if several:
        item = one | {"type": [name for name in one["type"] if name != "null"]}
        return one | {"type": ["array", *one["type"]], "items": item}
    return one


def summary(text: str) -> str:
    """Return the first sentence of a flag's help."""
    text = re.sub(r"^API docs: \S+ *", "", text)
    return re.split(r"(?<=[A-Za-z)`\"'\]0-9]{2}[.:]) (?![a-z0-9])", text, maxsplit=1)[0].rstrip(":")


def flags_schema(dump: dict[str, Any], notes: dict[str, Any]) -> Schema:
    """Return the schema of engine.args: every flag of the parser, and a message for every other name.

    Helm shows a user the text of `const` and of nothing else, so a refused name has its remedy as its only valid value.
    """
    properties: Schema = {}
    for argument in dump["args"]:
        if argument["action"] == "_HelpAction":
            continue
        for flag in argument["flags"]:
            name = flag.removeprefix("--")
            if name == flag or flag in opposites(argument["flags"]):
                continue
            value = flag_value(argument, name in notes["jsonLists"])
            text = summary(argument["help"])
            properties[name] = {"description": text, **value} if text else value
    version = ".".join(dump["vllm"].split(".")[:2])
    refused = {}
    for argument in dump["args"]:
        own = next((flag for flag in argument["flags"] if flag.startswith("--")), "").removeprefix("--")
        for name in sorted(flag.removeprefix("--") for flag in opposites(argument["flags"])):
            if not name.startswith("no-"):
                refused[name] = f"(write {own} with the opposite value)"
    refused |= {name: f"(set by the chart: {remedy})" for name, remedy in notes["owned"].items()}
    for name, remedy in notes["removed"].items():
        if name in properties:
            raise ValueError(f"files/data/flags.yaml says that vLLM has no flag {name} any more, but it has")
        refused[name] = f"(no longer a flag of vLLM: {remedy})"
    properties |= {name: {"const": message} for name, message in refused.items()}
    return {
        "type": "object",
        "properties": dict(sorted(properties.items())),
        "patternProperties": {
            "^[^.]*_": {"const": "(write flags with dashes, e.g. max-model-len)"},
            "^-": {"const": "(write flags without leading dashes, e.g. max-model-len)"},
            "^no-": {"const": '(write the flag without "no-" and the value false)'},
            "[A-Z]": {"const": "(write flags in lower case with dashes, e.g. max-model-len)"},
            r"\.": {"const": "(write the part before the dot as the flag and its value as a map)"},
        },
        "additionalProperties": {
            "const": f"(no such flag in vLLM {version}; check the spelling, or pass it in engine.extraArgs)"
        },
    }


class KubernetesTypes:
    """The types of the newest Kubernetes API that the package kubernetes-validate carries.

    They are closed there already. Here they lose what an editor or Helm has no use for, and a type is in `definitions`
    once something refers to it, unless it is whole at another place. Each schema less saves Helm 40 µs.
    """

    def __init__(self) -> None:
        data = resources.files("kubernetes_validate") / "kubernetes-json-schema"
        minors = [int(folder.name.split(".")[1]) for folder in data.iterdir() if folder.name.endswith("-local-strict")]
        text = (data / f"v1.{max(minors)}.0-local-strict" / "_definitions.json").read_text(encoding="utf-8")
        self._types: dict[str, Schema] = json.loads(text)["$defs"]
        self._names: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self.definitions: Schema = {}

    def stands_at(self, name: str, path: str) -> None:
        """Take a part of the schema for the definition of a type, so that the type is not there twice."""
        if name not in OVERLAID:
            self._places[name] = path

    def type(self, wanted: str) -> Schema:
        """Return a type by the end of its full name, such as `Affinity`; with ` without KEY` a key is left out.

        Raises:
            ValueError: when no type or more than one has such a name.
        """
        name, _, key = wanted.partition(" without ")
        found = [full for full in self._types if full.endswith(f".{name}")]
        if len(found) != 1:
            raise ValueError(f"Kubernetes has {len(found)} types {name}: {', '.join(found)}")
        schema = self._read(found[0])
        if key:
            del schema["properties"][key]
            schema["required"] = [item for item in schema.get("required", []) if item != key]
        return {key: value for key, value in schema.items() if value != []}

    def _read(self, full: str) -> Schema:
        """Return a type with the types that it refers to among the definitions."""
        if full.endswith(".Quantity"):
            return {"type": ["string", "number", "null"], "pattern": QUANTITY}
        short, node = full.rpartition(".")[2], self._types[full]
        fields = {
            key: value
            for key, value in node.get("properties", {}).items()
            # volumes that no node mounts any more, by Kubernetes' own word
            if "no longer supported" not in value.get("description", "")
            if key not in REFUSED.get(short, ()) and key in KEPT.get(short, (key,))
        }
        schema: Schema = self._clean({**node, "properties": fields} if fields else node)
        if short in NEEDED:
            wanted = NEEDED[short]
            schema["properties"][wanted] = {"type": "string", "minLength": 1}
            schema["required"] = [*schema.get("required", []), wanted]
        return schema

    def _clean(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._clean(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return {"$ref": self._refer(node["$ref"].rpartition("/")[2])}
        if "oneOf" in node:  # of plain types that all take null, so that null would be refused
            return {"type": sorted({name for option in node["oneOf"] for name in option["type"]})}
        cleaned = {key: self._clean(node[key]) for key in ("type", "items", "additionalProperties") if key in node}
        if "properties" in node:
            cleaned["properties"] = {key: self._clean(value) for key, value in node["properties"].items()}
        if "required" in node:
            cleaned["required"] = node["required"]
        return cleaned

    def _refer(self, full: str) -> str:
        short = full.rpartition(".")[2]
        if short in self._places:
            return self._places[short]
        if self._names.setdefault(short, full) != full:
            raise ValueError(f"two types of Kubernetes would be called {short}: {full} and {self._names[short]}")
        if short not in self.definitions:
            self.definitions[short] = {}  # a type that refers to itself is not read again
            schema = self._read(full)
            schema["required"] = [key for key in schema.get("required", []) if key != OVERLAID.get(short)]
            self.definitions[short] = {key: value for key, value in schema.items() if value != []}
        return f"#/definitions/{short}"


def required_defaults(defaults: Schema, schema: Schema, node: Schema) -> Schema:
    """Return a schema that requires every key of the chart's own maps, of which the node is one, with a default."""
    found: Schema = {"required": [key for key, value in defaults.items() if value]}
    properties = {}
    for key, value in defaults.items():
        inner = resolve(schema, child(schema, node, key))
        if "properties" in inner and value:
            properties[key] = required_defaults(value, schema, inner)
    return found | ({"properties": properties} if properties else {})


def without_nulls(defaults: Schema, source: Schema) -> Schema:
    """Return the schema that rejects values in which null removed a default, with a remedy beside the missing key.

    Helm removes such a key before it looks at the schema. It always looks at values that are merged with the defaults.
    """
    wanted = required_defaults(defaults, source, source)
    return {"if": wanted, "else": {"allOf": [wanted, {"const": REMOVED_DEFAULT}]}}


def complete(node: Any, parts: Schema, kubernetes: KubernetesTypes, path: str = "#") -> Any:
    """Return the node with parts and types filled in where their $names and $k8s stand.

    What stands beside $k8s replaces that part of the type; `path` leads to the node. Objects are closed.
    """
    if isinstance(node, list):
        return [complete(item, parts, kubernetes) for item in node]
    if not isinstance(node, dict):
        return node
    own = {
        key: complete(value, parts, kubernetes, f"{path}/{key}")
        for key, value in node.items()
        if key not in {*parts, "$k8s", "$instead"}
    }
    for name in parts.keys() & node.keys():
        own |= parts[name]
    if "$k8s" in node:
        if own.keys() <= {"description"} and re.fullmatch(r"#[\w/]+", path) and "$instead" not in node:
            kubernetes.stands_at(node["$k8s"], path)
        own = own | kubernetes.type(node["$k8s"]) | own
    elif "type" in own and "properties" in own:
        own.setdefault("additionalProperties", False)
    for name, text in node.get("$instead", {}).items():
        wanted = own["type"] if isinstance(own["type"], list) else [own["type"]]
        own |= {"type": [*wanted, name], **INSTEAD[name](text)}
    return own


def to_text(node: Any) -> str:
    """Return JSON that is small, and yet changes by lines: a map or list stands on one line where it fits."""
    line = json.dumps(node, ensure_ascii=False, separators=(",", ":"))
    if len(line) <= LINE or not isinstance(node, dict | list):
        return line
    if isinstance(node, list):
        return "[\n" + ",\n".join(map(to_text, node)) + "\n]"
    return "{\n" + ",\n".join(f"{json.dumps(key)}:{to_text(value)}" for key, value in node.items()) + "\n}"


def without_descriptions(node: Any) -> Any:
    """Return a schema without its descriptions; a property called so stays."""
    if isinstance(node, list):
        return [without_descriptions(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key != "description" or not isinstance(value, str)}
    return {key: without_descriptions(value) for key, value in kept.items()}


def resolve(schema: Schema, node: Schema) -> Schema:
    """Return the schema that a node's reference leads to, or the node itself."""
    for part in [node, *node.get("allOf", [])]:
        if "$ref" in part:
            found: Schema = schema["definitions"][part["$ref"].removeprefix("#/definitions/")]
            return found
    return node


def child(schema: Schema, node: Schema, key: str) -> Schema:
    """Return the node of a key of a map.

    Raises:
        UserError: if the schema lacks the key.
    """
    try:
        found: Schema = resolve(schema, node)["properties"][key]
    except KeyError:
        raise UserError(f"values.yaml has a key {key} that values.schema.yaml lacks: add it there.") from None
    return found


def at(schema: Schema, path: sources.KeyPath) -> Schema:
    """Return the node of a key of values.yaml."""
    return functools.reduce(functools.partial(child, schema), path, schema)


def describe(schema: Schema, path: sources.KeyPath, text: str) -> None:
    """Write the description of a key into the schema.

    Raises:
        ValueError: when the schema describes it already, as values.yaml alone should.
    """
    node = at(schema, path)
    if "description" in node:
        raise ValueError(f"{'.'.join(path)} is described twice: keep the comment in values.yaml")
    # nothing may stand beside a reference, which other keys share
    described = {"description": text, **({"allOf": [node]} if "$ref" in node else node)}
    resolve(schema, at(schema, path[:-1]))["properties"][path[-1]] = described


def for_helm() -> Schema:
    """Return the schema that Helm validates values with, once they are merged with the defaults."""
    defaults = {path[0]: key.default for path, key in sources.keys().items() if len(path) == 1}
    source = go_yaml.load(SOURCE.read_text(encoding="utf-8"))
    schema: Schema = without_descriptions(_completed())
    definitions = schema.pop("definitions")
    return schema | without_nulls(defaults, source) | {"definitions": definitions}


def for_editors() -> Schema:
    """Return the schema for values files, which may leave out any key, with a description of each key."""
    schema = _completed()
    for path, key in sources.keys().items():
        if key.description:
            describe(schema, path, key.description)
    return schema


def _completed() -> Schema:
    dump_path = DATA / f"vllm-serve-args-{app_version()}.json"
    dump = json.loads(dump_path.read_text(encoding="utf-8"))
    notes = go_yaml.load(FLAG_NOTES.read_text(encoding="utf-8"))
    checks = {name: {"type": "boolean", "description": text} for name, text in sources.checks().items()}
    parts = {
        "$flags": flags_schema(dump, notes),
        "$checks": {"properties": checks},
        "$accelerators": {"enum": list(accelerators.known())},
        "$alerts": {"properties": {name: {"type": "boolean"} for name in sources.alerts()}},
    }
    kubernetes = KubernetesTypes()
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Generated from values.schema.yaml by `make generate`.",
        "title": "Values of the chart vllm",
        **complete(go_yaml.load(SOURCE.read_text(encoding="utf-8")), parts, kubernetes),
    }
    schema["definitions"] |= dict(sorted(kubernetes.definitions.items()))
    return schema


def files() -> dict[Path, str]:
    """Return both schemas."""
    return {TARGET: to_text(for_helm()) + "\n", EDITOR_TARGET: to_text(for_editors()) + "\n"}
