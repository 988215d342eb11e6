"""A machine version module as it is deployed in these tests: a light with a switch, and every way to go wrong.

Callers say in ``auth_context["role"]`` who they are: a reader may not write, a stranger may do nothing.
"""

from typing import Any

from perdure.durable.definition import ReadRequest, WriteRequest
from perdure.statechart import assign, create_machine


def fail(context: Any) -> bool:
    raise ValueError("the fuse is blown")


machine = create_machine(
    {
        "id": "light",
        "initial": "off",
        "context": {"public": {"switched": 0}, "secret": "wattage"},
        "on": {
            "FAIL": {"cond": "fail", "target": "on"},
            "GROW": {"actions": assign({"ballast": lambda context, event: "x" * event["size"]})},
            "HIDE": {"actions": assign({"public": lambda context: None})},
            "SPIN": "spinning.left",
        },
        "states": {
            "off": {
                "on": {
                    "SWITCH": {
                        "target": "on",
                        "actions": assign(
                            {
                                "public": lambda context: {
                                    "switched": (context.get("public") or {}).get("switched", 0) + 1
                                }
                            }
                        ),
                    }
                }
            },
            "on": {"tags": ["lit"], "on": {"SWITCH": "off", "BREAK": "broken"}},
            "broken": {"type": "final"},
            "spinning": {
                "initial": "left",
                "states": {"left": {"always": "right"}, "right": {"always": "left"}},
            },
        },
    },
    guards={"fail": fail},
)


def allow_read(request: ReadRequest) -> bool:
    return request.auth_context.get("role") != "stranger"


def allow_write(request: WriteRequest) -> bool:
    return request.auth_context.get("role") not in ("reader", "stranger")
