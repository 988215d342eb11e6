"""``--setting NAME=VALUE``: limits and times of a server other than the usual ones.

The names are those of the fields that are numbers: of ``Limits``, ``RuntimeSettings`` and ``ServerSettings``, among
which none is there twice. What is said later counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer

from perdure.errors import InvalidParameter

if TYPE_CHECKING:
    from perdure.durable.settings import RuntimeSettings
    from perdure.server.settings import ServerSettings

__all__ = ["SettingOption", "with_settings"]

S = TypeVar("S", bound=msgspec.Struct)

SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--setting",
        metavar="NAME=VALUE",
        envvar="PERDURE_SETTINGS",
        help="A limit or a time of docs/limits.md, such as processing_timeout=30000; may be repeated.",
    ),
]


def with_settings(given: Sequence[str], server: ServerSettings) -> tuple[RuntimeSettings, ServerSettings]:
    """The settings with what was given in place of the usual. Raises ``InvalidParameter`` for what makes no sense."""
    from perdure.durable.limits import DEFAULT_LIMITS
    from perdure.durable.settings import RuntimeSettings

    runtime = RuntimeSettings()
    kinds = numbers_of(DEFAULT_LIMITS) | numbers_of(runtime) | numbers_of(server)
    values: dict[str, Any] = {}
    for text in given:
        name, divides, value = text.partition("=")
        if not divides or not value:
            raise InvalidParameter(
                f"{text!r} is not a name and a value: write it like processing_timeout=30000", "--setting"
            )
        if name not in kinds:
            raise InvalidParameter(f"there is no setting {name!r}; there are {', '.join(sorted(kinds))}", "--setting")
        try:
            parts: Any = value.split(",") if kinds[name] not in (int, float) else value
            values[name] = msgspec.convert(parts, kinds[name], strict=False)
        except msgspec.ValidationError as error:
            raise InvalidParameter(f"{name} cannot be {value!r}: {error}", "--setting") from error
    runtime = msgspec.structs.replace(replaced(runtime, values), limits=replaced(DEFAULT_LIMITS, values))
    return runtime, replaced(server, values)


def numbers_of(settings: msgspec.Struct) -> dict[str, Any]:
    """The fields that are numbers or several of them, with their types."""
    fields = msgspec.structs.fields(settings)
    return {field.name: field.type for field in fields if field.type in (int, float, tuple[float, ...])}


def replaced(settings: S, values: dict[str, Any]) -> S:
    """The settings with those of the values that are theirs."""
    own = set(settings.__struct_fields__) & values.keys()
    return msgspec.structs.replace(settings, **{name: values[name] for name in own})
