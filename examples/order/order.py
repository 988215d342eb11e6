"""An order, from the first item in the cart to the parcel at the door or the money back.

The customer fills the cart and pays, staff ship and refund; a cart or an unpaid order that nobody touches is reminded
of and then expires. Everything under `public` in the context is for the customer's eyes, the rest is not.

The bank is pretended, and what a card does is in its name: `tok_visa` pays, `tok_declined` is refused, `tok_slow` takes
seconds, `tok_unreachable` finds no bank, and with `tok_refund_fails` the way back is blocked.
"""

import asyncio

from perdure import ReadRequest, WriteRequest, and_, assign, create_machine, in_state
from perdure.json_value import JsonObject

TRIES_MAX = 3
HOUR = 3_600_000

CUSTOMER_SENDS = {"add", "remove", "checkout", "pay", "cancel", "requestRefund"}
STAFF_SEND = {"cancel", "pack", "ship", "deliver", "approveRefund", "refuseRefund"}
CUSTOMER_GIVES = {"customer"}
"""All that a customer may say when creating an order; staff may change the delays too."""


# -- the bank ----------------------------------------------------------------------------------------------------------


class CardDeclined(Exception):
    """The bank says no; asking again would not help."""


class BankUnreachable(Exception):
    """Nobody answered; asking again may help."""


class RefundBlocked(Exception):
    """The bank cannot send the money back to this card."""


async def charge_card(context: JsonObject) -> JsonObject:
    """Take the order's total from its card. Runs at most once per entry of `charging`, whatever crashes."""
    card = context["card"]
    if card == "tok_slow":
        await asyncio.sleep(context["slowBankMs"] / 1000)
    if card == "tok_declined":
        raise CardDeclined("the card was declined")
    if card == "tok_unreachable":
        raise BankUnreachable("the bank does not answer")
    return {"charge": f"ch_{card.removeprefix('tok_')}", "amount": context["public"]["total"]}


async def refund_card(context: JsonObject) -> JsonObject:
    """Send the money back."""
    if context["card"] == "tok_refund_fails":
        raise RefundBlocked("the bank cannot pay back to this card")
    return {"refund": context["charge"].replace("ch_", "re_"), "amount": context["public"]["total"]}


# -- what changes in the context ---------------------------------------------------------------------------------------


def with_items(context: JsonObject, items: list[JsonObject]) -> JsonObject:
    total = sum(item["price"] * item["quantity"] for item in items)
    return {"public": {**context["public"], "items": items, "total": total}}


def add_item(context: JsonObject, event: JsonObject) -> JsonObject:
    item = {"sku": event["sku"], "price": event["price"], "quantity": event.get("quantity", 1)}
    others = [other for other in context["public"]["items"] if other["sku"] != event["sku"]]
    return with_items(context, [*others, item])


def remove_item(context: JsonObject, event: JsonObject) -> JsonObject:
    return with_items(context, [item for item in context["public"]["items"] if item["sku"] != event["sku"]])


def take_card(context: JsonObject, event: JsonObject) -> JsonObject:
    return {"card": event["card"], "public": {**context["public"], "problem": None}}


def note_problem(context: JsonObject, event: JsonObject) -> JsonObject:
    """The error of a service, for the customer; `data` is the exception's name and message."""
    return {"public": {**context["public"], "problem": event["data"]["message"]}}


def note_charge(context: JsonObject, event: JsonObject) -> JsonObject:
    return {"charge": event["data"]["charge"], "public": {**context["public"], "paid": event["data"]["amount"]}}


def note_refund(context: JsonObject, event: JsonObject) -> JsonObject:
    return {"public": {**context["public"], "refunded": event["data"]["amount"], "problem": None}}


def note_tracking(context: JsonObject, event: JsonObject) -> JsonObject:
    return {"public": {**context["public"], "tracking": event.get("tracking")}}


def remind(context: JsonObject) -> JsonObject:
    return {"public": {**context["public"], "reminders": context["public"]["reminders"] + 1}}


def has_positive_amount(context: JsonObject, event: JsonObject) -> bool:
    return is_count(event.get("price"), least=0) and is_count(event.get("quantity", 1), least=1)


def is_count(value: object, *, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


# -- the machine -------------------------------------------------------------------------------------------------------

REMINDED_THEN_EXPIRED = {
    "reminder": {"actions": assign(remind)},
    "expiry": {"target": "#order.expired"},
}

CART = {
    "on": {
        # To enter the state again starts its timers again: a cart expires when nobody has touched it for long.
        "add": {"target": "cart", "cond": has_positive_amount, "actions": assign(add_item)},
        "remove": {"target": "cart", "actions": assign(remove_item)},
        "checkout": {
            "target": "payment",
            "cond": and_("cart is not empty", "card is given"),
            "actions": assign(take_card),
        },
        "cancel": "cancelled",
    },
    "after": REMINDED_THEN_EXPIRED,
}

PAYMENT = {
    "initial": "charging",
    "states": {
        # No `cancel` here: while the bank works, nobody knows whether there is something to pay back.
        "charging": {
            "entry": assign(tries=lambda context: context["tries"] + 1),
            "invoke": {
                "id": "charge",
                "src": "charge_card",
                "onDone": {"target": "#order.paid", "actions": assign(note_charge)},
                # Also where a crash leads: a service that died with its process comes back as an error.
                "onError": [
                    {"target": "#order.cancelled", "cond": "no tries are left", "actions": assign(note_problem)},
                    {"target": "waitingForBank", "cond": "bank was unreachable", "actions": assign(note_problem)},
                    {"target": "waitingForCard", "actions": assign(note_problem)},
                ],
            },
        },
        "waitingForBank": {"after": {"retry": "charging"}, "on": {"cancel": "#order.cancelled"}},
        "waitingForCard": {
            "on": {
                "pay": {"target": "charging", "cond": "card is given", "actions": assign(take_card)},
                "cancel": "#order.cancelled",
            },
            "after": REMINDED_THEN_EXPIRED,
        },
    },
}

PAID = {
    "type": "parallel",
    "states": {
        "shipping": {
            "initial": "unpacked",
            "states": {
                "unpacked": {"on": {"pack": "packed"}},
                # What the customer wants to give back is not sent.
                "packed": {
                    "on": {
                        "ship": {
                            "target": "shipped",
                            "cond": in_state({"paid": {"refund": "none"}}),
                            "actions": assign(note_tracking),
                        }
                    }
                },
                "shipped": {"on": {"deliver": "delivered"}},
                "delivered": {"type": "final"},
            },
        },
        "refund": {
            "initial": "none",
            "states": {
                "none": {"on": {"requestRefund": "requested"}},
                "requested": {"on": {"approveRefund": "refunding", "refuseRefund": "none"}},
                "refunding": {
                    "invoke": {
                        "id": "refund",
                        "src": "refund_card",
                        "onDone": {"target": "refunded", "actions": assign(note_refund)},
                        "onError": {"target": "requested", "actions": assign(note_problem)},
                    }
                },
                "refunded": {"type": "final"},
            },
        },
    },
}

machine = create_machine(
    {
        "id": "order",
        "context": {
            "customer": None,
            "card": None,
            "charge": None,
            "tries": 0,
            "reminderMs": 24 * HOUR,
            "expiryMs": 72 * HOUR,
            "retryMs": 30_000,
            "slowBankMs": 2_000,
            "public": {
                "items": [],
                "total": 0,
                "paid": None,
                "refunded": None,
                "tracking": None,
                "reminders": 0,
                "problem": None,
            },
        },
        "initial": "cart",
        "states": {
            "cart": CART,
            "payment": PAYMENT,
            "paid": PAID,
            "cancelled": {"type": "final"},
            "expired": {"type": "final"},
        },
    },
    guards={
        "cart is not empty": lambda context: bool(context["public"]["items"]),
        "card is given": lambda context, event: isinstance(event.get("card"), str),
        "no tries are left": lambda context: context["tries"] >= TRIES_MAX,
        "bank was unreachable": lambda context, event: event["data"].get("name") == "BankUnreachable",
    },
    services={"charge_card": charge_card, "refund_card": refund_card},
    delays={
        "reminder": lambda context: context["reminderMs"],
        "expiry": lambda context: context["expiryMs"],
        "retry": lambda context: context["retryMs"],
    },
)


# -- who may do what ---------------------------------------------------------------------------------------------------


def allow_read(request: ReadRequest) -> bool:
    return is_staff(request) or is_customer(request)


def allow_write(request: WriteRequest) -> bool:
    if request.event is None:
        return is_staff(request) or (is_customer(request) and set(request.context) <= CUSTOMER_GIVES)
    event_type = request.event["type"]
    return (event_type in STAFF_SEND and is_staff(request)) or (event_type in CUSTOMER_SENDS and is_customer(request))


def is_staff(request: ReadRequest | WriteRequest) -> bool:
    return request.auth_context.get("role") == "staff"


def is_customer(request: ReadRequest | WriteRequest) -> bool:
    """Whether it is the caller's own order."""
    caller = request.auth_context.get("sub")
    return caller is not None and caller == request.context.get("customer")
