"""What callers give to a runtime, checked where it comes in: names, events, and values that have to be JSON."""

from __future__ import annotations

from perdure.durable.records import Address
from perdure.errors import EventTooLarge, InvalidParameter
from perdure.json_value import JsonObject, decode_json, encode_json
from perdure.statechart.event import EventLike, is_reserved, to_event
from perdure.statechart.reference import NAME

__all__ = ["as_json", "ensure_address", "ensure_name", "sendable"]


def ensure_address(address: Address) -> None:
    """Raise ``InvalidParameter`` for what is none, such as a name."""
    if not isinstance(address, Address):
        raise InvalidParameter(f"{address!r} is no address: make one with perdure.address(machine, name)", "address")


def ensure_name(name: str, parameter: str) -> None:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise InvalidParameter(f"{name!r} is no name: 1 to 128 characters of a-z, A-Z, 0-9, _ and -", parameter)


def sendable(event: EventLike, bytes_max: int) -> JsonObject:
    """An event from outside, as JSON. Raises ``InvalidParameter`` for what only the runtime may say."""
    sent = as_json(to_event(event), "event", bytes_max)
    if is_reserved(sent["type"]):
        raise InvalidParameter(f"events of type {sent['type']!r} come from the runtime alone", "event")
    return sent


def as_json(value: JsonObject, parameter: str, bytes_max: int | None = None) -> JsonObject:
    """A caller's value as JSON makes of it.

    Raises ``InvalidParameter`` when JSON cannot say it, ``EventTooLarge`` when it is larger than an event may be.
    """
    try:
        encoded = encode_json(value)
        copied: JsonObject = decode_json(encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidParameter(f"the {parameter} is not JSON: {error}", parameter) from error
    if bytes_max is not None and len(encoded) > bytes_max:
        raise EventTooLarge(f"the {parameter} is {len(encoded):,} bytes of JSON; the limit is {bytes_max:,} bytes")
    return copied
