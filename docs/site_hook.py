"""A hook of MkDocs: the site also holds Markdown outside ``docs``, and no link leaves it."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = ["CONTRIBUTING.md", "model/pretrained/*/README.md", "benchmarks/results/**/*.md"]
PROJECT = "project/"  # where these pages are on the site
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?://|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages outside ``docs``."""
    for pattern in OUTSIDE:
        for path in sorted(ROOT.glob(pattern)):
            uri = PROJECT + path.relative_to(ROOT).as_posix()
            files.append(File.generated(config, uri, content=path.read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at pages of the site. A link to a source file becomes its text."""
    here = page.file.src_uri
    in_repository = here.removeprefix(PROJECT) if here.startswith(PROJECT) else f"docs/{here}"

    def on_site(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(in_repository), target))
        if path == "README.md":
            uri, anchor = "index.md", ""
        elif (ROOT / path).is_dir():
            uri = f"{path.removeprefix('docs/')}/README.md"
        else:
            uri = path.removeprefix("docs/") if path.startswith("docs/") else PROJECT + path
        if files.get_file_from_path(uri) is None:
            return text
        return f"[{text}]({posixpath.relpath(uri, posixpath.dirname(here) or '.')}{anchor})"

    return LINK.sub(on_site, markdown)
