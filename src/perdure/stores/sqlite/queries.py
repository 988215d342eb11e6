"""The named statements of ``queries.sql``, read once.

A query begins with ``-- name: <name>``, goes on with at least one comment line that says what it does, and ends before
the next name.
"""

from __future__ import annotations

from importlib.resources import files

__all__ = ["QUERIES", "parse_queries"]

_NAME = "-- name: "


def parse_queries(text: str) -> dict[str, str]:
    """The SQL of each named query. Raises ``ValueError`` for one without a description, without SQL, or repeated."""
    queries: dict[str, str] = {}
    for block in text.split("\n" + _NAME)[1:]:
        name, _, rest = block.partition("\n")
        lines = rest.strip().splitlines()
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
        if not sql or not lines[0].startswith("-- ") or name in queries:
            raise ValueError(f"the query {name!r} lacks its description or its SQL, or is there twice")
        queries[name] = sql.removesuffix(";")
    return queries


QUERIES = parse_queries(files("perdure.stores.sqlite").joinpath("queries.sql").read_text(encoding="utf-8"))
