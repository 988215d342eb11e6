"""Mappings: how claims are made from claims.

A mapping is an object. A key that ends in ``.$`` loses that ending, and its value is a JSONPath (RFC 9535) into the
input: a path that can point at one place only gives what is there, or leaves the key out when nothing is; any other
path gives the list of all it finds. Objects are mappings themselves. Everything else, arrays included, is a constant.
A mapping is checked when it is stored, so that an exchange fails for its token alone.
"""

from __future__ import annotations

from typing import Any

import jsonpath_rfc9535 as jsonpath

from perdure.errors import InvalidParameter
from perdure.json_value import Json, JsonObject

__all__ = ["apply_mapping", "check_mapping"]

_SUFFIX = ".$"
_DEPTH_MAX = 16
_PATH_CHARACTERS_MAX = 512


def check_mapping(mapping: JsonObject) -> None:
    """Raises ``InvalidParameter("…", "mapping")`` that says where and what is wrong."""
    _check(mapping, "$", _DEPTH_MAX)


def _check(mapping: JsonObject, place: str, depth_left: int) -> None:
    if depth_left == 0:
        raise InvalidParameter(f"the mapping is nested more than {_DEPTH_MAX} deep", "mapping")
    for key, value in mapping.items():
        here = f"{place}.{key}"
        if key.endswith(_SUFFIX):
            if mapping.keys() & {key.removesuffix(_SUFFIX)}:
                raise InvalidParameter(f"{here} and {here.removesuffix(_SUFFIX)} make the same claim", "mapping")
            _compiled(value, here)
        elif isinstance(value, dict):
            _check(value, here, depth_left - 1)


def apply_mapping(mapping: JsonObject, claims: JsonObject) -> JsonObject:
    """The claims that a checked mapping makes of other claims. Raises ``RecursionError`` for absurdly deep ones."""
    made: JsonObject = {}
    for key, value in mapping.items():
        if key.endswith(_SUFFIX):
            path = _compiled(value, key)
            found = path.find(claims).values()
            if not path.singular_query():
                made[key.removesuffix(_SUFFIX)] = found
            elif found:
                made[key.removesuffix(_SUFFIX)] = found[0]
        elif isinstance(value, dict):
            made[key] = apply_mapping(value, claims)
        else:
            made[key] = value
    return made


def _compiled(path: Json, place: str) -> Any:
    if not isinstance(path, str) or len(path) > _PATH_CHARACTERS_MAX:
        raise InvalidParameter(
            f"{place} ends in .$, so its value is a JSONPath of at most {_PATH_CHARACTERS_MAX} characters", "mapping"
        )
    try:
        return jsonpath.compile(path)
    except (jsonpath.JSONPathError, RecursionError) as error:
        raise InvalidParameter(f"{place} is not a JSONPath: {error}", "mapping") from error
