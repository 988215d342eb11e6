"""JSON values: their types, their one encoding, and their size.

Everything perdure stores or sends is JSON. This module is the only place that encodes and decodes it, so that "what
was committed" and "what was answered" are the same bytes. Floats that JSON cannot say (NaN, infinities) become null, as
in JavaScript.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

__all__ = ["Json", "JsonObject", "decode_json", "encode_json", "encode_model", "json_copy", "says_the_same"]

Json: TypeAlias = Any
"""None, bool, int, float, str, list or dict of JSON. ``Any``, since mypy cannot follow the recursion in user code."""

JsonObject: TypeAlias = dict[str, Any]


def encode_model(value: Any) -> Json:
    """What msgspec makes of a pydantic model, known by its methods. Raises ``TypeError`` for anything else."""
    dump = getattr(type(value), "model_dump", None)
    if dump is None:
        raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")
    # Only what a model can be read from again; what does not fit its fields is told by whoever reads it.
    return dump(value, mode="json", by_alias=True, round_trip=True, warnings=False)


_encoder = msgspec.json.Encoder(enc_hook=encode_model)
_decoder = msgspec.json.Decoder()


def encode_json(value: Json) -> bytes:
    """The compact UTF-8 JSON of a value; dataclasses, msgspec structs and pydantic models are objects.

    Raises ``TypeError`` for what JSON cannot say (a callable, an open file).
    """
    return _encoder.encode(value)


def decode_json(data: bytes | str) -> Json:
    """The value of a JSON text. Raises ``ValueError`` with the position of the defect when it is not JSON."""
    return _decoder.decode(data)


def json_copy(value: Json) -> Json:
    """What ``value`` becomes when it is stored and read again: tuples turn into lists, aliases are cut."""
    return _decoder.decode(_encoder.encode(value))


def says_the_same(one: Json, other: Json) -> bool:
    """Whether two values that Python takes for equal are the same JSON: it takes ``True`` for 1, and 1.0 too.

    Of objects that are no JSON themselves the encoding decides, where they have one.
    """
    pairs = [(one, other)]
    while pairs:
        one, other = pairs.pop()
        kind = type(one)
        if one is other:
            continue
        if kind is not type(other):
            return False
        if kind is dict:
            pairs += [(value, other[key]) for key, value in one.items()]
        elif kind is list or kind is tuple:
            pairs += zip(one, other, strict=True)
        elif kind not in (str, int, bool) and _encoding(one) != _encoding(other):
            return False
    return True


def _encoding(value: Any) -> bytes:
    try:
        return encode_json(value)
    except (TypeError, ValueError, RecursionError):
        return b""  # no JSON
