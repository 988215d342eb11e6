"""`--setting NAME=VALUE`, which makes of texts the settings of a server."""

from __future__ import annotations

import pytest

from perdure import Limits, RuntimeSettings
from perdure.cli.settings import with_settings
from perdure.errors import InvalidParameter
from perdure.server.settings import ServerSettings
from tests.cli.conftest import Run


def test_settings_go_where_they_belong_and_the_last_one_counts() -> None:
    given = ["processing_timeout=1", "processing_timeout=30000", "inbox_max=7", "mail_backoff=1,2.5", "page_size=9"]
    runtime, server = with_settings(given, ServerSettings(allow_code_upload=True))
    assert runtime == RuntimeSettings(processing_timeout=30_000, mail_backoff=(1, 2.5), limits=Limits(inbox_max=7))
    assert server == ServerSettings(allow_code_upload=True, page_size=9)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("processing_timeout", "not a name and a value: write it like processing_timeout=30000"),
        ("processing_timeout=", "not a name and a value"),
        ("processing_time=1", "there is no setting 'processing_time'; there are .*processing_timeout"),
        ("limits=1", "there is no setting 'limits'"),
        ("public_url=http://x", "there is no setting 'public_url'"),
        ("inbox_max=many", "inbox_max cannot be 'many'"),
        ("inbox_max=1.5", "inbox_max cannot be '1.5'"),
        ("inbox_max=0", "inbox_max is a whole number from 1 up, not 0"),
        ("processing_timeout=-1", "processing_timeout is a time in milliseconds, 0 or longer, not -1"),
        ("mail_backoff=1,x", "mail_backoff cannot be '1,x'"),
        ("mail_backoff=-1", "mail_backoff is one pause in milliseconds or several"),
        ("page_size=0", "page_size is a whole number from 1 up"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_by_name(given: str, said: str) -> None:
    with pytest.raises(InvalidParameter, match=said):
        with_settings([given], ServerSettings())


def test_serve_refuses_a_senseless_setting_before_it_begins(run: Run) -> None:
    ran = run("serve", "--store", "sqlite:///x.db", "--setting", "inbox_max=0")
    assert (ran.exit_code, "inbox_max is a whole number from 1 up" in ran.stderr) == (1, True)


def test_settings_may_come_from_the_environment(run: Run) -> None:
    ran = run("serve", "--store", "sqlite:///x.db", PERDURE_SETTINGS="inbox_max=5 mail_attempts=0")
    assert (ran.exit_code, "mail_attempts is a whole number from 1 up" in ran.stderr) == (1, True)
