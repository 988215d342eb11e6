"""Error codes are a contract: unique, and each with its meaning and its HTTP status in docs/errors.md."""

from __future__ import annotations

import re
from collections import defaultdict

from perdure import errors
from tests.architecture.source_tree import ROOT

DOCUMENT = ROOT / "docs" / "errors.md"
ROW = re.compile(r"^\| `(?P<code>[a-z-]+)` \| (?P<status>\d{3}|none) \| `(?P<name>\w+)` \| (?P<meaning>.+) \|$", re.M)


def error_classes() -> list[type[errors.PerdureError]]:
    """Every exported error class but the root."""
    exported = [getattr(errors, name) for name in errors.__all__]
    classes = [item for item in exported if isinstance(item, type) and issubclass(item, errors.PerdureError)]
    return [item for item in classes if item is not errors.PerdureError]


def test_every_error_class_is_exported() -> None:
    defined = {
        name
        for name, item in vars(errors).items()
        if isinstance(item, type) and issubclass(item, errors.PerdureError) and item.__module__ == errors.__name__
    }
    assert defined <= set(errors.__all__)


def test_a_code_belongs_to_one_family_of_errors() -> None:
    by_code = defaultdict(list)
    for item in error_classes():
        by_code[item.code].append(item)
    for code, classes in by_code.items():
        root = min(classes, key=lambda item: len(item.__mro__))
        strangers = [item.__name__ for item in classes if not issubclass(item, root)]
        assert not strangers, f"{code!r} of {root.__name__} is used by {', '.join(strangers)} too"


def test_every_error_says_something_of_its_own() -> None:
    for item in error_classes():
        assert item.__doc__, f"{item.__name__} needs a docstring"
        assert item.code != errors.PerdureError.code, f"{item.__name__} needs a code of its own"


def test_every_error_is_documented_with_its_code() -> None:
    documented = {(row["name"], row["code"]) for row in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))}
    defined = {(item.__name__, item.code) for item in error_classes()}
    assert documented == defined
