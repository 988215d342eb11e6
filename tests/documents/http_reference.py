"""The page ``docs/reference/http.md``, made from the published document whenever the site is built."""

from __future__ import annotations

from perdure.server.api_table import ENDPOINTS
from tests.documents.snippets import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"
INTRODUCTION = """# HTTP reference

Made from the OpenAPI document that every server publishes at `/openapi.json` and shows as a page at `/docs`; tests hold
the server to it. Every request but the ones without a scope carries `authorization: Bearer <token>`; where two scopes
are named, one is enough.

| method, path | scope | |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = sorted(
        (each.path, each.method, f"| `{each.method} {each.path}` | {_scopes(each.scopes)} | {each.about} |")
        for each in ENDPOINTS
    )
    return INTRODUCTION + "".join(f"{row}\n" for _, _, row in rows)


def _scopes(scopes: tuple[str, ...]) -> str:
    return " or ".join(f"`{scope}`" for scope in scopes) or "none"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
