"""Mail as the message that it is to its receiver."""

from __future__ import annotations

from perdure.durable.authorization import sender_claims
from perdure.durable.family import tie_of
from perdure.durable.message import Adopt, AttemptDue, Create, Deliver, Message, Stop
from perdure.durable.outbox import life_of
from perdure.durable.records import Mail, host_address

__all__ = ["message_of"]


def message_of(mail: Mail) -> Message:
    """What a message asks its receiver's turn to do."""
    if mail.kind == "adopt" and mail.creation is not None:
        tie = tie_of(mail.sender, mail.creation, life_of(mail))
        return Adopt(tie=tie, auth_context=sender_claims(mail.sender), mail_id=mail.id)
    if mail.kind == "stop":
        child_id = None if mail.creation is None else mail.creation.child_id
        return Stop(sender=mail.sender, mail_id=mail.id, child_id=child_id)
    if mail.kind == "attempt":
        event = mail.event or {}
        return AttemptDue(child_id=event["id"], session=event["session"], mail_id=mail.id)
    # Nobody needs permission for these.
    is_own = mail.sender == mail.target or mail.sender == host_address(mail.sender.org)
    claims = None if mail.is_platform or is_own else sender_claims(mail.sender)
    if mail.kind == "create" and mail.creation is not None:
        return Create(
            version_id=mail.creation.version_id,
            context=mail.creation.context,
            auth_context=claims,
            sender=mail.sender,
            parents=(tie_of(mail.sender, mail.creation, life_of(mail)),),
            mail_id=mail.id,
            chain=mail.chain,
        )
    mark = mail.creation
    return Deliver(
        event=mail.event or {},
        auth_context=claims,
        sender=None if is_own else mail.sender,
        is_share=mail.kind == "share",
        is_platform=mail.is_platform,
        life=None if mark is None else mark.life or None,
        mail_id=mail.id,
        chain=mail.chain,
    )
