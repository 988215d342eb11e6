"""``/dead-letters``: messages that were given up, to be read, re-driven and dropped. Beside State Backed's contract."""

from __future__ import annotations

from starlette.routing import Route

from perdure import wire, wire_upkeep
from perdure.durable.records import Address, Mail
from perdure.errors import NotFound
from perdure.server.answer import Answer, no_content, ok
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes"]

_SCOPES = ("instances.admin",)


def routes(services: Services) -> list[Route]:
    one = Resource(services, GET=Operation(get_dead_letter, _SCOPES), DELETE=Operation(drop_dead_letter, _SCOPES))
    return [
        Route("/dead-letters", Resource(services, GET=Operation(list_dead_letters, _SCOPES))),
        Route("/dead-letters/{letterId}", one),
        Route("/dead-letters/{letterId}/redrive", Resource(services, POST=Operation(redrive_dead_letter, _SCOPES))),
    ]


async def list_dead_letters(call: Call) -> Answer:
    letters = call.services.runtime.dead_letters
    page = await letters.list(call.org, cursor=call.cursor, limit=call.services.settings.page_size)
    return ok(wire_upkeep.DeadLettersPage(dead_letters=[_letter(mail) for mail in page.rows], cursor=page.cursor))


async def get_dead_letter(call: Call) -> Answer:
    return ok(_letter(await call.services.runtime.dead_letters.read(call.org, _mail_id(call))))


async def redrive_dead_letter(call: Call) -> Answer:
    await call.services.runtime.dead_letters.redrive(call.org, _mail_id(call))
    return no_content()


async def drop_dead_letter(call: Call) -> Answer:
    await call.services.runtime.dead_letters.drop(call.org, _mail_id(call))
    return no_content()


def _mail_id(call: Call) -> str:
    letter = call.path("letterId")
    mail_id = wire_upkeep.mail_id(letter)
    if mail_id is None:
        raise NotFound(f"there is no dead letter {letter!r}")
    return mail_id


def _letter(mail: Mail) -> wire_upkeep.DeadLetter:
    return wire_upkeep.DeadLetter(
        id=wire_upkeep.letter_id(mail.id),
        kind=mail.kind,
        sender=_reference(mail.sender),
        target=_reference(mail.target),
        event=mail.event,
        context=None if mail.creation is None else mail.creation.context,
        attempts=mail.attempts,
        error=mail.last_error,
        buried_at=None if mail.buried_at is None else wire.wire_time(mail.buried_at),
    )


def _reference(address: Address) -> wire_upkeep.Reference:
    return wire_upkeep.Reference(machine_name=address.machine, machine_instance_name=address.instance)
