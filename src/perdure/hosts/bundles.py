"""Bundles: a machine version of several modules, as one text.

A bundle is what is stored, hashed and run: a Python source that holds the sources of a package and hands them to
``run_bundle``. The module it runs as becomes the package, under a name that is made from its content, so that two
versions of one package live side by side in a process and nothing on disk is ever imported in their place. Modules of
the package import each other with relative imports.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import linecache
import sys
from collections.abc import Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

__all__ = ["bundle_source", "run_bundle"]


def bundle_source(package: str, sources: Mapping[str, str]) -> str:
    """The bundle of a package whose modules are given by their paths below it, such as ``steps/pay.py``.

    The same for the same sources, whatever order they come in.
    """
    lines = [f"    {path!r}: {sources[path]!r},\n" for path in sorted(sources)]
    return (
        f'"""The package {package}, as it was deployed: {len(sources)} modules."""\n'
        "from perdure.hosts.bundles import run_bundle\n\n"
        f"run_bundle(globals(), {package!r}, {{\n{''.join(lines)}}})\n"
    )


def run_bundle(exports: dict[str, Any], package: str, sources: Mapping[str, str]) -> None:
    """Make the module whose names are ``exports`` the package, and execute its ``__init__.py`` there."""
    name: str = exports["__name__"]
    finder = _Bundle(name, package, sources)
    sys.meta_path[:] = [each for each in sys.meta_path if not (isinstance(each, _Bundle) and each.name == name)]
    sys.meta_path.insert(0, finder)
    exports["__path__"] = []
    exports["__package__"] = name
    exec(finder.code("__init__.py"), exports)  # noqa: S102 - to run this code is what a host is for


class _Bundle(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds and loads the modules of one bundle."""

    def __init__(self, name: str, package: str, sources: Mapping[str, str]) -> None:
        self.name = name
        self._package = package
        self._sources = dict(sources)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(f"{self.name}."):
            return None
        place = self._place(fullname)
        if place is None:
            return None
        return importlib.util.spec_from_loader(
            fullname, self, origin=f"{self._package}/{place}", is_package=place.endswith("/__init__.py")
        )

    def exec_module(self, module: ModuleType) -> None:
        place = self._place(module.__name__)
        assert place is not None, "it was found"
        exec(self.code(place), module.__dict__)  # noqa: S102 - to run this code is what a host is for

    def code(self, place: str) -> CodeType:
        """A module's code; its tracebacks show the lines of a file that may be nowhere on disk."""
        source, file_name = self._sources[place], f"{self._package}/{place}"
        linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
        return compile(source, file_name, "exec", dont_inherit=True)

    def _place(self, fullname: str) -> str | None:
        inner = fullname.removeprefix(f"{self.name}.").replace(".", "/")
        return next((place for place in (f"{inner}.py", f"{inner}/__init__.py") if place in self._sources), None)
