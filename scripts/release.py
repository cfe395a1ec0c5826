"""`make release`: packages the chart as a release, signs and verifies it, pushes it, and pulls it again to compare.

The version stands in Chart.yaml, what changed in CHANGELOG.md; both are refused where they don't agree. What only a
package carries is added here: links to the tag, and the changelog's section in the form that Artifact Hub reads.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ci.common import ROOT, digest
from ci.tools import put_on_path
from scripts import project
from scripts.project import Project
from vllm_chart.chart import CHART
from vllm_chart.entry_point import main
from vllm_chart.errors import CommandError, UserError
from vllm_chart.process import run
from vllm_chart.progress import say
from vllm_chart.render import go_yaml

TARGET = ROOT / "build" / "release"

#: Helm refuses a release whose Secret is larger than 1 MB; ours stays far below.
LARGEST_PACKAGE = 150_000

#: Sections of the changelog, with the word that Artifact Hub has for each.
KINDS = {
    "Added": "added",
    "Changed": "changed",
    "Deprecated": "deprecated",
    "Removed": "removed",
    "Fixed": "fixed",
    "Security": "security",
}


@dataclass(frozen=True)
class Signature:
    """With what a package is signed.

    Attributes:
        key: name of the key, as in its user id.
        keyring: file with the secret key in the form that gpg exports.
        passphrase: file that holds the key's passphrase; None for a key without one.
    """

    key: str
    keyring: Path
    passphrase: Path | None = None


def section(changelog: str, version: str) -> str:
    """Return what the changelog says of a version, without its heading.

    Raises:
        UserError: where it says nothing, or where changes stand under "Unreleased".
    """
    parts = dict(re.findall(r"^## \[([^\]]+)\][^\n]*\n(.*?)(?=^## |\Z)", changelog, flags=re.MULTILINE | re.DOTALL))
    if not parts.get(version, "").strip():
        raise UserError(
            f"CHANGELOG.md says nothing of {version}: name its section [{version}] with today's date, "
            "or set another version in charts/vllm/Chart.yaml."
        )
    if parts.get("Unreleased", "").strip():
        raise UserError(
            f'CHANGELOG.md has changes under "Unreleased": move them to [{version}], or release what is older.'
        )
    return str(parts[version]).strip()


def changes(text: str) -> list[dict[str, str]]:
    """Return the lines of a changelog's section as Artifact Hub wants them: a kind and one sentence each."""
    found = []
    for title, body in re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", text, flags=re.MULTILINE | re.DOTALL):
        for item in re.findall(r"^- (.*?)(?=^- |\Z)", body, flags=re.MULTILINE | re.DOTALL):
            found.append({"kind": KINDS[title], "description": " ".join(item.split())})
    return found


def absolutize_links(text: str, repository: str, version: str) -> str:
    """Return a text of this repository for readers elsewhere: links to its files lead there, or are words alone."""
    there = rf"[\1]({repository}/blob/v{version}/\2)" if repository else r"\1"
    return re.sub(r"\[([^\]\n]*)\]\((?![a-z]+:)([^)\n]*)\)", there, text)


def metadata(chart: Path, text: str, of: Project | None) -> dict[str, Any]:
    """Return Chart.yaml as it is packaged.

    Args:
        chart: folder of the chart.
        text: the changelog's section.
        of: where the project is published; None leaves links out.
    """
    given: dict[str, Any] = go_yaml.load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    annotations = {
        **given["annotations"],
        "artifacthub.io/changes": yaml.safe_dump(changes(text), sort_keys=False, allow_unicode=True, width=10_000),
        "artifacthub.io/prerelease": "true" if "-" in given["version"] else "false",
    }
    if of:
        repository, tagged = of.repository, f"v{given['version']}"
        links = [
            {"name": "Documentation", "url": of.documentation},
            {"name": "Changes", "url": f"{repository}/blob/{tagged}/CHANGELOG.md"},
            {"name": "support", "url": f"{repository}/issues"},
        ]
        pictures = [
            {"title": "What a release is made of", "url": f"{repository}/raw/{tagged}/docs/pictures/overview.svg"},
            {"title": "make demo", "url": f"{repository}/raw/{tagged}/docs/demo.svg"},
        ]
        annotations["artifacthub.io/links"] = yaml.safe_dump(links, sort_keys=False)
        annotations["artifacthub.io/screenshots"] = yaml.safe_dump(pictures, sort_keys=False)
        given |= of.chart_metadata | {"sources": [f"{repository}/tree/{tagged}/charts/vllm"]}
    return {**given, "annotations": annotations}


def package(
    chart: Path, changelog: str, target: Path, *, of: Project | None = None, sign: Signature | None = None
) -> Path:
    """Make the package, and with a signature its provenance file, in an empty folder; return the package.

    Raises:
        UserError: where changelog and version don't agree, or the package is not what it must be.
    """
    version = str(go_yaml.load((chart / "Chart.yaml").read_text(encoding="utf-8"))["version"])
    text = absolutize_links(section(changelog, version), of.repository if of else "", version)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    copy = shutil.copytree(chart, target / "chart" / chart.name)
    described = yaml.safe_dump(metadata(chart, text, of), sort_keys=False, allow_unicode=True, width=10_000)
    (copy / "Chart.yaml").write_text(described, encoding="utf-8")
    (target / "notes.md").write_text(f"{text}\n", encoding="utf-8")
    options: list[str | Path] = []
    if sign:
        options = ["--sign", "--key", sign.key, "--keyring", sign.keyring]
        options += ["--passphrase-file", sign.passphrase] if sign.passphrase else []
    run(["helm", "package", copy, "--destination", target, *options])
    shutil.rmtree(target / "chart")
    (made,) = target.glob("*.tgz")
    if made.stat().st_size > LARGEST_PACKAGE:
        raise UserError(f"The package has {made.stat().st_size} bytes, and may have {LARGEST_PACKAGE}.")
    names = run(["tar", "--list", "--file", made]).splitlines()
    if f"{chart.name}/values.schema.json" not in names:
        raise UserError("The package lacks values.schema.json, without which Helm takes every typo: see .helmignore.")
    if sign:
        run(["helm", "verify", made, "--keyring", sign.keyring])
    return made


def identity(made: Path) -> tuple[str, str]:
    """Return the name and the version of a package, as of vllm-0.3.0-rc.1.tgz."""
    name, version = re.fullmatch(r"(.+?)-(\d+\..+)", made.stem).groups()  # type: ignore[union-attr]
    return name, version


def push(made: Path, registry: str, *, keyring: Path | None = None, options: tuple[str, ...] = ()) -> None:
    """Push a package with its provenance file, and pull it again to see that it is the same.

    Args:
        made: the package; its provenance file lies beside it.
        registry: where to, as oci://ghcr.io/owner/charts.
        keyring: keys by which Helm verifies what it pulls; None where it isn't signed.
        options: flags for Helm, as --plain-http.
    """
    name, version = identity(made)
    run(["helm", "push", made, registry, *options])
    pulled = made.parent / "pulled"
    pulled.mkdir()
    verify = ["--verify", "--keyring", str(keyring)] if keyring else []
    run(["helm", "pull", f"{registry}/{name}", "--version", version, "--destination", pulled, *verify, *options])
    if digest(pulled / made.name) != digest(made):
        raise UserError(f"{registry} gave back another package than it got: is {version} there already?")
    shutil.rmtree(pulled)


def require_clean_tree(version: str) -> None:
    """Refuse a tree that is not what a tag of this version names.

    Raises:
        UserError: with what to do.
    """
    if run(["git", "status", "--porcelain"], cwd=ROOT).strip():
        raise UserError(
            "There are changes that are not committed: a release is what a commit says. Commit or stash them."
        )
    try:
        tag = run(["git", "describe", "--tags", "--exact-match", "--match", "v*"], cwd=ROOT).strip()
    except CommandError:
        raise UserError(f"This commit has no tag: `git tag v{version}`.") from None
    if tag != f"v{version}":
        raise UserError(f"This commit is tagged {tag}, and Chart.yaml says {version}: correct one of them.")


def _signature() -> Signature | None:
    key, keyring = os.environ.get("SIGN_KEY"), os.environ.get("SIGN_KEYRING")
    if not key:
        return None
    if not keyring or not Path(keyring).is_file():
        raise UserError("SIGN_KEY needs SIGN_KEYRING, a file made by `gpg --export-secret-keys --output secring.gpg`.")
    passphrase = os.environ.get("SIGN_PASSPHRASE_FILE")
    return Signature(key, Path(keyring), Path(passphrase) if passphrase else None)


def release() -> None:
    """Do what the environment says: PUSH, SIGN_KEY, SIGN_KEYRING, SIGN_PASSPHRASE_FILE."""
    of = project.require()
    put_on_path("helm")
    registry, sign = os.environ.get("PUSH", ""), _signature()
    if registry and not registry.startswith("oci://"):
        raise UserError(f"PUSH={registry} is no OCI registry: write oci://registry/folder.")
    if registry:
        require_clean_tree(str(go_yaml.load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["version"]))
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    made = package(CHART, changelog, TARGET, of=of, sign=sign)
    say(f"{made.relative_to(ROOT)}: {made.stat().st_size} bytes{', signed and verified' if sign else ''}")
    if registry:
        push(made, registry, keyring=sign.keyring if sign else None)
        say(f"pushed to {registry}/{identity(made)[0]}, and pulled the same again")


if __name__ == "__main__":
    main(release)
