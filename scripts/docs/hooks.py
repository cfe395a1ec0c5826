"""What MkDocs asks of this project: pages that other files give, and links that lead out of docs/.

In the repository a page links to files beside docs/: the README, values files, the chart's README. On the site each of
these is a page, so that no fact stands twice. Which file is which page, `SOURCES` says; a link to any other file
outside docs/ ends the build; links to code are left out, and their words stay.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from ci.common import ROOT
from scripts import project
from scripts.docs import reference

#: Pages that are files of the repository, by the page's path in docs/.
SOURCES = {
    "index.md": "README.md",
    "zh.md": "README.zh-CN.md",
    "changes.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "reference/values.md": "charts/vllm/README.md",
    "reference/cluster-and-images.md": "ci/README.md",
}
#: Pages that are made of facts that stand elsewhere.
MADE: dict[str, Callable[[], str]] = {
    "reference/flags.md": reference.flags,
    "reference/checks.md": reference.checks,
    "reference/metrics.md": reference.metrics,
    "reference/alerts.md": reference.alerts,
    "documentation.md": reference.documentation,
    "examples/index.md": reference.examples,
    "reference/gpus.md": reference.gpus,
}
#: Where a link to a file or folder without a page leads.
ELSEWHERE = {
    "values": "examples/index.md",
    "tests/snapshots": "examples/index.md",
    "charts/vllm": "reference/values.md",
    "charts/vllm/files/data/accelerators.yaml": "reference/gpus.md",
    "LICENSE": "index.md#licence",
    "NOTICE": "index.md#licence",
}
_EXAMPLES = {f"examples/{path.stem}.md": path for path in sorted((ROOT / "values").glob("*.yaml"))}

_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
#: Links to code, which the site has no pages for: their words stay.
_TO_CODE = re.compile(r"\[([^\]\n]*)\]\((?:\.\./)*(?:tests/(?!snapshots)|ci/(?!README)|scripts/|src/)[^)\n]*\)")
_FENCE = re.compile(r"^( *)(`{3,}|~{3,})", flags=re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the nav's `folder/*`, and say where the site and its sources are published."""
    config.nav = [_expand(item) for item in config.nav or []]
    if of := project.published():
        config.site_url = f"{of.documentation}/"
        # not `repo_url`, for which the theme loads the count of stars from another host
        config.extra["social"] = [{"icon": "fontawesome/brands/git-alt", "link": of.repository, "name": "Repository"}]
    return config


def _expand(item: Any) -> Any:
    if isinstance(item, dict):
        ((title, inner),) = item.items()
        if not isinstance(inner, list):
            return item
        expanded = [found for part in inner for found in _globbed(part)]
        return {title: [_expand(part) for part in expanded]}
    return item


def _globbed(item: Any) -> list[Any]:
    if item == "examples/*":
        return ["examples/index.md", *_EXAMPLES]
    if item == "decisions/*":
        return [
            f"decisions/{path.name}" for path in sorted((ROOT / "docs" / "decisions").glob("*.md"), key=_index_first)
        ]
    return [item]


def _index_first(path: Path) -> tuple[bool, str]:
    return path.name != "README.md", path.name


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that other files give."""
    made = {name: (ROOT / source).read_text(encoding="utf-8") for name, source in SOURCES.items()}
    made |= {name: build() for name, build in MADE.items()}
    made |= {name: reference.example(path) for name, path in _EXAMPLES.items()}
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead links to pages of the site, and keep the words behind a fence from the reader."""
    name = page.file.src_uri
    source = SOURCES.get(name, f"docs/{name}")
    lines, fenced = [], False
    for line in markdown.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
            lines.append(re.sub(r"^( *(?:`{3,}|~{3,}) *[\w-]*).*", r"\1", line))
        elif fenced:
            lines.append(line)
        else:
            lines.append(_LINK.sub(lambda found: _led(found, name, source), _TO_CODE.sub(r"\1", line)))
    return "\n".join(lines)


def _led(found: re.Match[str], name: str, source: str) -> str:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), found["target"]))
    target = _page_of(path)
    if target is None:
        raise PluginError(
            f"{source} links to {path}, which is no page of the site: see SOURCES in {Path(__file__).name}"
        )
    page, _, anchor = target.partition("#")
    anchor = found["anchor"] or (f"#{anchor}" if anchor else "")
    here = posixpath.dirname(name) or "."
    return f"{found['before']}{posixpath.relpath(page, here)}{anchor}{found['after']}"


def _page_of(path: str) -> str | None:
    """The page or file of the site for a path of the repository, with its anchor; None where there is none."""
    pages = {source: name for name, source in SOURCES.items()}
    pages |= {str(file.relative_to(ROOT)): name for name, file in _EXAMPLES.items()}
    pages |= {f"docs/{name}": name for name in MADE} | ELSEWHERE
    if path in pages:
        return pages[path]
    if path.startswith("docs/"):
        inside = path.removeprefix("docs/")
        return f"{inside}/README.md" if (ROOT / path).is_dir() else inside
    return None
