"""Answers become values or errors, and requests carry their headers."""

from __future__ import annotations

import pytest

from perdure import errors, wire
from perdure.client import AsyncClient, Client
from perdure.client.carrying import Outgoing
from perdure.client.exchange import Request, Response, ask, error_of
from perdure.client.http import base_url, http_arguments
from tests.client.script import answer, play, problem

BUILT_FROM_THEIR_PARTS = {errors.InvalidParameter, errors.MachineCodeError, errors.MachineConfigError}
SAME_CODE_AS_THEIR_PARENT = {errors.InstanceExists}
NEVER_ANSWERED = {errors.MailGone, errors.SequenceConflict, errors.ServerUnreachable, errors.UnexpectedAnswer}
KNOWN = sorted(
    (
        error_class
        for error_class in (getattr(errors, name) for name in errors.__all__)
        if isinstance(error_class, type)
        and issubclass(error_class, errors.PerdureError)
        and error_class not in {errors.PerdureError} | BUILT_FROM_THEIR_PARTS | SAME_CODE_AS_THEIR_PARENT
        and error_class not in NEVER_ANSWERED
    ),
    key=lambda error_class: error_class.__name__,
)


@pytest.mark.parametrize("error_class", KNOWN)
def test_a_code_becomes_its_error_with_the_message_of_the_server(error_class: type[errors.PerdureError]) -> None:
    error = error_of(problem(400, error_class.code, "because"))
    assert type(error) is error_class
    assert str(error) == "because"


def test_a_bad_parameter_is_named() -> None:
    error = error_of(problem(400, "invalid-parameter", "no such thing", parameter="slug"))
    assert isinstance(error, errors.InvalidParameter)
    assert (str(error), error.parameter) == ("no such thing", "slug")


def test_defects_of_a_machine_come_back_one_by_one() -> None:
    original = errors.MachineConfigError(
        [errors.ConfigDefect("states.a", "is odd", "Say b."), errors.ConfigDefect("on", "x")]
    )
    defects = [
        wire.Defect(path=item.path, message=item.message, suggestion=item.suggestion) for item in original.defects
    ]
    error = error_of(answer(wire.Problem(code="invalid-machine", error=str(original), defects=defects), 400))
    assert isinstance(error, errors.MachineConfigError)
    assert str(error) == str(original)
    assert [str(defect) for defect in error.defects] == [str(defect) for defect in original.defects]


@pytest.mark.parametrize("line", [7, None])
def test_the_place_of_wrong_code_comes_back(line: int | None) -> None:
    original = errors.MachineCodeError("does not import", file="door.py", line=line)
    sent = wire.Problem(code=original.code, error=str(original), file=original.file, line=original.line)
    error = error_of(answer(sent, 400))
    assert isinstance(error, errors.MachineCodeError)
    assert (str(error), error.file, error.line, error.reason) == (str(original), "door.py", line, "does not import")


@pytest.mark.parametrize(
    ("status", "error_class"), [(401, errors.InvalidToken), (404, errors.NotFound), (409, errors.InvalidState)]
)
def test_an_answer_without_json_is_known_by_its_status(status: int, error_class: type[errors.PerdureError]) -> None:
    assert type(error_of(Response(status=status, body=b"<html>"))) is error_class


def test_an_unknown_answer_keeps_its_status_code_and_message() -> None:
    error = error_of(problem(418, "teapot", "short and stout"))
    assert isinstance(error, errors.UnexpectedAnswer)
    assert error.status == 418
    assert "short and stout" in str(error)
    assert "teapot" in str(error)


def test_a_success_that_is_no_answer_of_a_perdure_server_is_refused() -> None:
    with pytest.raises(errors.UnexpectedAnswer, match="perdure server"):
        play(ask("GET", "/orgs", wire.State), Response(status=200, body=b"<html>hello</html>"))


def test_paths_go_below_a_url_that_has_a_path_of_its_own() -> None:
    url = base_url("http://host:1/api/")
    arguments = http_arguments(Outgoing(Request(method="GET", path="/machines"), {"a": "b"}), url=url)
    assert arguments["url"] == "http://host:1/api/machines"
    assert arguments["headers"] == {"a": "b"}


@pytest.mark.parametrize("url", ["localhost:7373", "ftp://host", "http://", "not a url", "http://host:port"])
def test_what_is_no_url_of_a_server_is_refused_when_the_client_is_made(url: str) -> None:
    with pytest.raises(errors.InvalidParameter, match="URL"):
        Client(url)
    with pytest.raises(errors.InvalidParameter, match="URL"):
        AsyncClient(url)
