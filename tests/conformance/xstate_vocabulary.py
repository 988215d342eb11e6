"""The words of the recorded cases: what the names of actions, guards and services in their machines stand for.

The recorder (``xstate/record.cjs``) describes them; here they are implemented a second time, for perdure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from perdure.statechart import (
    Machine,
    assign,
    cancel,
    choose,
    create_machine,
    escalate,
    forward_to,
    log,
    pure,
    raise_,
    respond,
    send,
    send_parent,
    send_to,
    start,
    stop,
)

__all__ = ["SERVICES", "build"]

Config = dict[str, Any]

ACTION_KEYS = ("entry", "exit", "actions")
SERVICES = ("one", "two", "three", "promise", "failing", "says", "echo", "tells", "throwing", "machine")
ACTIVITIES = ("beep", "flash")


def build(written: Config, where: str = "", *, by_xstate: bool = False) -> Machine:
    """The machine of a case, or of one of its children, whose states then say ``where`` they are.

    With ``by_xstate`` it is the JSON of a machine whose states say so already.
    """
    config = written if by_xstate else instrumented({"id": where or "m", **written}, where)
    found = set(action_names(config)) | {"picked zero", "picked other"}
    found |= {name for pure_name in found if pure_name.startswith("pure:") for name in pure_name[5:].split("+")}
    texts = {text.replace("pick:", "zero:") for text in strings(config)}
    return create_machine(
        with_functions(config),
        actions={name: action(name) for name in found},
        guards={name: test for name in texts if (test := guard(name)) is not None},
        services={name: lambda: None for name in texts if name.split(":")[0] in SERVICES}
        | {name: lambda: None for name in ACTIVITIES},
        delays={"soon": 5, "later": lambda: 7},
    )


def instrumented(config: Config, where: str) -> Config:
    """Every state says when it is entered and left, before its own actions."""
    if config.get("type") == "history" or config.get("history"):
        return config
    result = {
        **config,
        "entry": [f"+{where}", *as_list(config.get("entry"))],
        "exit": [f"-{where}", *as_list(config.get("exit"))],
    }
    if "states" in config:
        prefix = f"{where}." if where else ""
        result["states"] = {key: instrumented(state, prefix + key) for key, state in config["states"].items()}
    return result


def as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def action(name: str) -> Any:
    word, first, second, third, *_ = (*name.split(":"), "", "", "")
    match word:
        case "raise":
            return raise_(first)
        case "send":
            return send(first, delay=delay(second), id=third or None)
        case "cancel":
            return cancel(first)
        case "inc":
            return assign({first: lambda context: (context.get(first) or 0) + 1})
        case "set":
            return assign({first: second})
        case "see":
            return assign({first: lambda context, event: event["type"]})
        case "data":
            return assign({first: lambda context, event: event.get("data")})
        case "pick":
            return choose([{"cond": f"zero:{first}", "actions": ["picked zero"]}, {"actions": ["picked other"]}])
        case "pure":
            return pure(lambda: name.removeprefix("pure:").split("+"))
        case "log":
            return log(first)
        case "to":
            return send_to(first, second, delay=delay(third))
        case "up":
            return send_parent(first)
        case "stop":
            return stop(first)
        case "start":
            return start(first)
        case "answer":
            return respond(first, delay=delay(second))
        case "pass":
            return forward_to(first, delay=delay(second))
        case "escalate":
            return escalate(first)
    return lambda: None


def delay(text: str) -> Any:
    return int(text) if text.isdigit() else text or None


def guard(name: str) -> Any:
    word, _, first = name.partition(":")
    if word in ("yes", "no"):
        return lambda: word == "yes"
    if word == "throws":
        return lambda: 1 / 0
    if word == "zero":
        return lambda context: not context.get(first)
    if word == "event":
        return lambda context, event: event["type"] == first
    return None


def action_names(config: Any, key: str = "") -> Iterator[str]:
    if isinstance(config, str):
        if key in ACTION_KEYS:
            yield config
    elif isinstance(config, list):
        for item in config:
            yield from action_names(item, key)
    elif isinstance(config, dict):
        if key in ACTION_KEYS and not config.get("type", "xstate.").startswith("xstate."):
            yield config["type"]
        for name, item in config.items():
            yield from action_names(item, name)


def strings(config: Any) -> Iterator[str]:
    if isinstance(config, str):
        yield config
    elif isinstance(config, (list, dict)):
        for item in config.values() if isinstance(config, dict) else config:
            yield from strings(item)


def with_functions(config: Any) -> Any:
    """``$ctx:key`` stands for a function of the context."""
    if isinstance(config, str) and config.startswith("$ctx:"):
        key = config.removeprefix("$ctx:")
        return lambda context: context.get(key)
    if isinstance(config, list):
        return [with_functions(item) for item in config]
    if isinstance(config, dict):
        return {key: with_functions(item) for key, item in config.items()}
    return config
