"""Arguments that need reading: JSON, events, durations and times."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from perdure.errors import InvalidParameter
from perdure.json_value import JsonObject, decode_json

__all__ = ["parse_duration", "parse_event", "parse_moment", "parse_object", "parse_pair"]

_DURATION = re.compile(r"(?P<count>\d+)(?P<unit>[smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_object(text: str, option: str) -> JsonObject:
    """A JSON object. Raises ``InvalidParameter`` that names the option and shows what one looks like."""
    try:
        value = decode_json(text)
    except ValueError as error:
        raise InvalidParameter(f"{option} is not JSON ({error}): write it like '{{\"a\": 1}}'", option) from error
    if not isinstance(value, dict):
        raise InvalidParameter(f"{option} is not a JSON object: write it like '{{\"a\": 1}}'", option)
    return value


def parse_event(event: str, data: str | None) -> JsonObject:
    """An event from its type and its other fields, or from one JSON object that has both."""
    fields = parse_object(data, "--data") if data is not None else {}
    if event.lstrip().startswith("{"):
        fields = {**parse_object(event, "EVENT"), **fields}
        if not isinstance(fields.get("type"), str):
            raise InvalidParameter('EVENT has no type: write it like \'{"type": "OPEN"}\', or just OPEN', "EVENT")
        return fields
    return {"type": event} | fields | {"type": event}


def parse_pair(text: str, option: str) -> tuple[str, str]:
    """``NAME=VALUE``; only the first ``=`` divides. Raises ``InvalidParameter``."""
    name, divides, value = text.partition("=")
    if not name or not divides or not value:
        raise InvalidParameter(f"{option} is not a name and a value: write it like owner=$.public.owner", option)
    return name, value


def parse_duration(text: str, option: str) -> timedelta:
    """``90s``, ``10m``, ``1h`` or ``30d``."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match["count"]) == 0:
        raise InvalidParameter(f"{option} is not a duration: write it like 90s, 10m, 1h or 30d", option)
    try:
        return timedelta(**{_UNITS[match["unit"]]: int(match["count"])})
    except OverflowError as error:
        raise InvalidParameter(f"{option} is too long a time", option) from error


def parse_moment(text: str, option: str, now: float) -> float:
    """A time, or a duration before ``now``, as milliseconds since 1970. A time without a zone is UTC."""
    milliseconds = timedelta(milliseconds=1)
    if _DURATION.fullmatch(text) is not None:
        return max(now - parse_duration(text, option) / milliseconds, 0.0)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp() * 1000
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(
            f"{option} is neither a duration nor a time: write it like 90s, 10m, 1h or 30d, or like 2026-01-02T03:04",
            option,
        ) from error
