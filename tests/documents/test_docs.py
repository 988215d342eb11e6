"""The Python of every page is run as it stands and prints what the page says; what a reader types is typed."""

from __future__ import annotations

import os
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from perdure.server.api_table import ENDPOINTS
from tests.documents.http_reference import page as endpoints_page
from tests.documents.snippets import ROOT, all_blocks, commands, fits, follow, page_blocks, pages, run

SNIPPETS = [
    pytest.param(code, printed if language == "text" else None, id=f"{page.stem} {number}")
    for page in pages()
    if page.name != "README.md"  # which has tests of its own
    for number, ((kind, code), (language, printed)) in enumerate(pairwise([*all_blocks(page), ("", "")]))
    if kind == "python"
]
TYPED = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages() if commands(page)]


@pytest.mark.parametrize(("code", "printed"), SNIPPETS)
def test_each_python_block_of_the_docs_runs_and_prints_the_text_block_behind_it(
    code: str, printed: str | None, tmp_path: Path
) -> None:
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert printed is None or result.stdout == printed


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("page", TYPED)
def test_what_a_page_tells_its_reader_to_type_does_what_it_says(page: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, arguments in (("perdure", "-m perdure"), ("python", "")):
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n', encoding="utf-8")
        (tools / name).chmod(0o755)
    folder = tmp_path / "folder"
    folder.mkdir()
    follow(page, folder, {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PERDURE_PORT": "0"})


def test_every_file_that_a_page_shows_is_one_that_its_commands_use() -> None:
    for page in pages():
        titles = [block.title for block in page_blocks(page) if block.title is not None]
        typed = " ".join(command.line for command in commands(page))
        assert all(title in typed for title in titles), page


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    navigation = re.findall(r"[\w/-]+\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    docs = ROOT / "docs"
    assert {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"reference/http.md"} == set(navigation) - {
        "reference/http.md"  # which is made when the site is built
    }


def test_the_page_of_endpoints_has_each_endpoint_of_the_published_document_with_its_scopes() -> None:
    made = endpoints_page()
    for endpoint in ENDPOINTS:
        (row,) = [line for line in made.splitlines() if line.startswith(f"| `{endpoint.method} {endpoint.path}` ")]
        assert endpoint.about in row
        assert all(scope in row for scope in endpoint.scopes)


def test_a_page_may_leave_out_what_differs_and_nothing_else() -> None:
    assert fits("a 1 b\nmore\nlast\n", ("a … b", "…", "last"))
    assert not fits("a 1 c\n", ("a … b",))
    assert not fits("a\nb\n", ("a",))
    assert fits("anything", ())
