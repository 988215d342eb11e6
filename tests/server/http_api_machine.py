"""A machine with an HTTP API: a till that shops call, and every way in which its functions go wrong."""

from typing import Any

from perdure import HttpApi, HttpEvent, HttpRequest, HttpResult, assign, create_machine

machine = create_machine(
    {
        "id": "till",
        "initial": "open",
        "context": {"public": {}, "total": 0, "seen": None},
        "states": {
            "open": {
                "on": {
                    "PAID": {
                        "actions": assign({"total": lambda context, event: context["total"] + event["amount"]}),
                    },
                    "SEEN": {"actions": assign({"seen": lambda context, event: event["request"]})},
                    "CLOSE": "closed",
                }
            },
            "closed": {"type": "final", "data": lambda context: {"total": context["total"]}},
        },
    }
)

SHOP = {"role": "shop", "stateBackedSender": {"machineName": "bank", "machineInstanceName": "vault"}}


def pay(request: HttpRequest) -> dict[str, Any]:
    return {
        "machine_instance_name": request.query.get("till", "one"),
        "event": {"type": "PAID", "amount": request.body["amount"]},
        "auth_context": SHOP,
        "initial_context": {"opened_by": "a webhook"},
    }


def close(request: HttpRequest) -> HttpEvent:
    return HttpEvent(machine_instance_name="one", event="CLOSE", auth_context=SHOP)


def look(request: HttpRequest) -> dict[str, Any]:
    seen = {
        "method": request.method,
        "kind": request.headers.get("content-type"),
        "twice": request.headers.get("x-twice"),
        "query": request.query,
        "body": request.body,
        "bytes": len(request.raw),
    }
    return {"machine_instance_name": "one", "event": {"type": "SEEN", "request": seen}, "auth_context": SHOP}


def refuse(request: HttpRequest) -> dict[str, Any]:
    raise ValueError("the signature of the webhook is wrong")


def babble(request: HttpRequest) -> dict[str, Any]:
    return {"instance": "one"}


def forge(request: HttpRequest) -> dict[str, Any]:
    return {"machine_instance_name": "one", "event": "CLOSE", "auth_context": {"role": "stranger"}}


def receipt(result: HttpResult) -> dict[str, Any]:
    return {
        "status_code": 202,
        "headers": {"X-Till": "one", "content-length": "7", "access-control-allow-origin": "https://evil.test"},
        "body": {"state": result.state, "context": result.context, "result": result.result},
    }


def explode(result: HttpResult) -> dict[str, Any]:
    raise ValueError("the mapper is broken")


http_api = {
    "pay": {"handler": pay, "response_mapper": receipt},
    "close": HttpApi(handler=close, response_mapper=receipt),
    "look": HttpApi(handler=look, response_mapper=lambda result: {"body": result.context["seen"]}),
    "refuse": {"handler": refuse},
    "babble": {"handler": babble},
    "forge": {"handler": forge},
    "quiet": {"handler": pay},
    "explode": {"handler": pay, "response_mapper": explode},
    "text": {
        "handler": pay,
        "response_mapper": lambda result: {"body": "<b>paid</b>", "headers": {"content-type": "text/html"}},
    },
    "empty": {"handler": pay, "response_mapper": lambda result: {"status_code": 204}},
    "odd-status": {"handler": pay, "response_mapper": lambda result: {"status_code": 99}},
    "odd-header": {"handler": pay, "response_mapper": lambda result: {"headers": {"x": "a\r\nset-cookie: b"}}},
}


def allow_read(request: Any) -> bool:
    return False


def allow_write(request: Any) -> bool:
    return request.sender is None and request.auth_context == {"role": "shop"}
