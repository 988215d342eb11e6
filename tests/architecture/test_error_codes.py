"""Error codes are a contract: each has one meaning, and its HTTP status and its meaning are in docs/errors.md."""

from __future__ import annotations

import importlib
import re
from collections import defaultdict
from functools import cache

from perdure import errors
from perdure.server.problems import code_of, status_of
from tests.architecture.source_tree import ROOT, dotted_name, package_files

DOCUMENT = ROOT / "docs" / "errors.md"
ROW = re.compile(r"^\| `(?P<code>[a-z-]+)` \| (?P<status>\d{3}|none) \| `(?P<name>\w+)` \| (?P<meaning>.+) \|$", re.M)

STAY_INSIDE = {
    "ActorFailed",
    "MailGone",
    "NoEventLoop",
    "ReceiptExists",
    "ResultTooLarge",
    "SequenceConflict",
    "ServerUnreachable",
    "UnexpectedAnswer",
}
"""Errors that are no answer of the server: handled inside, or raised by the client or by actors in memory."""


@cache
def error_classes() -> list[type[errors.PerdureError]]:
    """Every error class of the package but the root."""
    for module in package_files():
        importlib.import_module(dotted_name(module))
    found: list[type[errors.PerdureError]] = []
    unseen = [errors.PerdureError]
    while unseen:
        subclasses = unseen.pop().__subclasses__()
        found.extend(item for item in subclasses if item.__module__.startswith("perdure."))
        unseen.extend(subclasses)
    return sorted(found, key=lambda item: item.__name__)


def test_errors_that_users_may_catch_are_exported() -> None:
    defined = {item.__name__ for item in error_classes() if item.__module__ == errors.__name__}
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


def test_every_error_is_documented_with_its_code_and_its_http_status() -> None:
    documented = {row["name"]: (row["code"], row["status"]) for row in ROW.finditer(DOCUMENT.read_text("utf-8"))}
    defined = {item.__name__: (item.code, answered_status(item)) for item in error_classes()}
    assert documented == defined


def answered_status(error_class: type[errors.PerdureError]) -> str:
    if error_class.__name__ in STAY_INSIDE:
        return "none"
    error = error_class.__new__(error_class)
    assert code_of(error) in (error_class.code, "internal-error")
    return str(status_of(error))
