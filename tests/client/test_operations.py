"""What each operation sends, and what it makes of the answers: checked without a network."""

from __future__ import annotations

import gzip
import json

import pytest

from perdure import wire
from perdure.client import access_operations, operations
from perdure.client.exchange import Request
from perdure.errors import InvalidState, NotFound
from perdure.json_value import Json
from tests.client.script import EMPTY, answer, play, problem

STATE = {"ts": 5.5, "state": "open", "publicContext": {"count": 1}, "tags": ["lit"], "done": False}


def body_of(request: Request) -> Json:
    assert request.body is not None
    return json.loads(request.body)


def test_creating_an_instance_leaves_out_what_is_not_given() -> None:
    (request,), state = play(operations.create_instance("door", "front"), answer(STATE))
    assert (request.method, request.path) == ("POST", "/machines/door")
    assert body_of(request) == {"slug": "front"}
    assert state == wire.State(ts=5.5, state="open", public_context={"count": 1}, tags=("lit",), done=False)


def test_creating_an_instance_sends_context_and_version_when_given() -> None:
    (request,), _ = play(operations.create_instance("door", "front", {}, version="ver_1"), answer(STATE))
    assert body_of(request) == {"slug": "front", "context": {}, "machineVersionId": "ver_1"}


@pytest.mark.parametrize("event", ["OPEN", {"type": "OPEN", "by": None}])
def test_an_event_is_sent_as_it_is(event: Json) -> None:
    (request,), _ = play(operations.send("door", "front", event), answer(STATE))
    assert (request.method, request.path) == ("POST", "/machines/door/i/front/events")
    assert body_of(request) == {"event": event}


def test_names_cannot_leave_their_place_in_the_path() -> None:
    (request,), _ = play(operations.get_instance("a/b", "../c?d"), answer(STATE))
    assert request.path == "/machines/a%2Fb/i/..%2Fc%3Fd"


def test_lists_follow_cursors_to_the_end() -> None:
    pages = [
        answer({"machines": [{"slug": "a", "createdAt": "t"}], "cursor": "c 1"}),
        answer({"machines": [{"slug": "b", "createdAt": "t"}]}),
    ]
    requests, machines = play(operations.list_machines(), *pages)
    assert [machine.slug for machine in machines] == ["a", "b"]
    assert [dict(request.query) for request in requests] == [{}, {"cursor": "c 1"}]


def test_lists_stop_asking_when_the_limit_is_reached() -> None:
    page = answer({"machines": [{"slug": name, "createdAt": "t"} for name in "abc"], "cursor": "more"})
    _, machines = play(operations.list_machines(2), page)
    assert [machine.slug for machine in machines] == ["a", "b"]


def test_get_or_create_asks_only_once_when_the_instance_is_there() -> None:
    requests, _ = play(operations.get_or_create_instance("door", "front"), answer(STATE))
    assert [request.method for request in requests] == ["GET"]


def test_get_or_create_reads_again_when_it_loses_the_race() -> None:
    requests, state = play(
        operations.get_or_create_instance("door", "front", {"a": 1}),
        problem(404, "not-found"),
        problem(409, "invalid-state"),
        answer(STATE),
    )
    assert [request.method for request in requests] == ["GET", "POST", "GET"]
    assert state.state == "open"


def test_get_or_create_does_not_create_when_reading_is_refused() -> None:
    with pytest.raises(InvalidState):
        play(operations.get_or_create_instance("door", "front"), problem(409, "invalid-state"))


def test_deploying_uploads_gzipped_code_with_all_fields_between_its_two_halves() -> None:
    requests, version = play(
        operations.deploy("door", "machine = 1\n", file_name="door.py", client_info="abc"),
        answer(
            {
                "machineVersionId": "sign/ed",
                "codeUploadUrl": "http://elsewhere/up",
                "codeUploadFields": {"key": "k", "policy": "p"},
            }
        ),
        EMPTY,
        answer({"machineVersionId": "ver_1"}),
    )
    provisional, upload, final = requests
    assert (provisional.method, provisional.path, dict(provisional.query)) == ("POST", "/machines/door/v", {"gzip": ""})
    assert upload.path == "http://elsewhere/up"
    assert upload.upload is not None
    assert list(upload.upload.fields) == ["key", "policy", "content-type", "content-encoding"]
    assert gzip.decompress(upload.upload.content) == b"machine = 1\n"
    assert (final.method, final.path) == ("PUT", "/machines/door/v/sign%2Fed")
    assert body_of(final) == {"clientInfo": "abc", "makeCurrent": True}
    assert version == "ver_1"


def test_the_same_code_is_uploaded_as_the_same_bytes() -> None:
    def uploaded() -> bytes:
        operation = operations.deploy("door", "machine = 1\n", file_name="door.py")
        next(operation)
        provisional = {"machineVersionId": "s", "codeUploadUrl": "http://x", "codeUploadFields": {}}
        request = operation.send(answer(provisional))
        assert request.upload is not None
        return request.upload.content

    assert uploaded() == uploaded()


def test_nothing_is_finalized_when_the_upload_fails() -> None:
    with pytest.raises(NotFound):
        play(
            operations.deploy("door", "", file_name="door.py"),
            answer({"machineVersionId": "s", "codeUploadUrl": "http://x", "codeUploadFields": {}}),
            problem(404, "not-found"),
        )


def test_deleting_an_instance_proves_that_it_is_meant() -> None:
    (request,), _ = play(operations.delete_instance("machine", "instance"), EMPTY)
    assert body_of(request) == {
        "dangerDataWillBeDeletedForever": True,
        # printf instance | openssl dgst -sha256 -hmac machine -binary | basenc --base64url
        "hmacSha256OfMachineInstanceNameWithMachineNameKey": "hCmnZsGVeQ1cogGobOqEYzI8jQuDYy5y4HCteWUHryo",
    }


def test_deleting_a_machine_proves_that_it_is_meant() -> None:
    (request,), _ = play(operations.delete_machine("machine"), EMPTY)
    assert body_of(request) == {
        "dangerDataWillBeDeletedForever": True,
        "hmacSha256OfMachineNameWithMachineNameKey": "RhQe3ySebej13fLNxOI03MKDQebFQ9y0aoEBQGcqP8w",
    }


def test_a_key_is_created_with_scopes_or_with_a_use() -> None:
    created = answer({"id": "sbk_1", "key": "sbsec_1"})
    (with_scopes,), _ = play(access_operations.create_key("k", scopes=["state.read"]), created)
    (with_use,), _ = play(access_operations.create_key("k", use="ci"), created)
    assert body_of(with_scopes) == {"name": "k", "scopes": ["state.read"]}
    assert body_of(with_use) == {"name": "k", "use": "ci"}
