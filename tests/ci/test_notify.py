"""`devenv notify` against a web service on loopback: what arrives, what is tried again, what is never said."""

from __future__ import annotations

import logging
import time

import pytest

from devenv.ci.notify import VARIABLE, Message, Patience, Webhook
from devenv.cli import main
from devenv.core.errors import DevenvError, UsageError, WaitTimeout
from tests.ci.webservice import serving

SECRET = "T0KEN-zq81xv"
HASTY = Patience(tries=4, timeout=5.0, pause=0.01)
MESSAGE = Message("deploy staging", "passed", "docsearch", 75.0, "https://example.com/runs/7")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_slack_gets_what_where_verdict_duration_and_link() -> None:
    with serving(lambda *_: (200, {}, "ok")) as service:
        Webhook(f"{service.url}/services/{SECRET}").send(MESSAGE, HASTY)
    text = "✅ passed: deploy staging in docsearch, after 75 s\nhttps://example.com/runs/7"
    assert service.requests == [("POST", f"/services/{SECRET}", {"text": text})]


def test_discord_gets_its_own_form_and_calls_nobody() -> None:
    with serving(lambda *_: (204, {}, "")) as service:
        Webhook(f"{service.url}/api/webhooks/1/{SECRET}").send(Message("@everyone <b>", "failure"), HASTY)
    assert service.requests[0][2] == {"content": "❌ failed: @everyone <b>", "allowed_mentions": {"parse": []}}


def test_slack_compatible_addresses_of_discord_and_hostile_names_are_text() -> None:
    hostile = Message("<!channel> & \x1b[31mred\n password=hunter22x " + "x" * 5000, "failed")
    with serving(lambda *_: (200, {}, "ok")) as service:
        Webhook(f"{service.url}/api/webhooks/1/{SECRET}/slack").send(hostile, HASTY)
    text = service.requests[0][2]["text"]
    assert text.startswith("❌ failed: &lt;!channel&gt; &amp; ")
    assert "hunter22x" not in text
    assert "\x1b" not in text
    assert "\n" not in text
    assert len(text) < 2000


def test_500_and_then_ok_is_delivered_once() -> None:
    with serving(lambda _, __, count: (500 if count < 3 else 200, {}, "")) as service:
        Webhook(f"{service.url}/services/x").send(MESSAGE, HASTY)
    assert len(service.requests) == 3


def test_429_waits_as_long_as_it_is_asked_to_but_not_for_ever() -> None:
    began = time.monotonic()
    with serving(lambda _, __, count: (429 if count == 1 else 200, {"Retry-After": "0.4"}, "")) as service:
        Webhook(f"{service.url}/services/x").send(MESSAGE, HASTY)
    assert time.monotonic() - began >= 0.4
    with serving(lambda _, __, count: (429 if count == 1 else 200, {"Retry-After": "99999"}, "")) as service:
        Webhook(f"{service.url}/services/x").send(MESSAGE, Patience(pause=0.01, longest_pause=0.05))
    assert len(service.requests) == 2


def test_500_always_is_an_error_after_all_tries() -> None:
    with (
        serving(lambda *_: (500, {}, "")) as service,
        pytest.raises(DevenvError, match="answered 500, 4 times") as told,
    ):
        Webhook(f"{service.url}/services/{SECRET}").send(MESSAGE, HASTY)
    assert len(service.requests) == 4
    assert told.value.exit_code == 1


def test_one_that_never_answers_ends_with_a_timeout() -> None:
    patience = Patience(tries=2, timeout=0.2, pause=0.01)
    with serving(lambda *_: None) as service, pytest.raises(WaitTimeout, match="did not answer"):
        Webhook(f"{service.url}/services/{SECRET}").send(MESSAGE, patience)
    assert len(service.requests) == 2


def test_a_redirect_is_not_followed_nor_tried_again() -> None:
    with serving(lambda *_: (200, {}, "")) as elsewhere:
        target = f"{elsewhere.url}/stolen"
        with serving(lambda *_: (307, {"Location": target}, "")) as service, pytest.raises(DevenvError) as told:
            Webhook(f"{service.url}/services/{SECRET}").send(MESSAGE, HASTY)
        assert elsewhere.requests == []
    assert len(service.requests) == 1
    assert "sends the message elsewhere (307)" in told.value.message


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_webhook_that_was_revoked_says_what_to_do_at_once(status: int) -> None:
    with serving(lambda *_: (status, {}, "")) as service, pytest.raises(DevenvError, match="does not know") as told:
        Webhook(f"{service.url}/services/x").send(MESSAGE, HASTY)
    assert len(service.requests) == 1
    assert VARIABLE in told.value.hint


@pytest.mark.parametrize("address", ["", "  ", "ftp://x/y", "http://example.com/x", "https://", "a\x00b"])
def test_what_is_no_webhook_is_refused_without_saying_it(address: str) -> None:
    with pytest.raises(UsageError) as told:
        Webhook(address and f"{address}{SECRET if address.startswith('http://') else ''}")
    assert SECRET not in f"{told.value.message} {told.value.hint}"


@pytest.mark.parametrize("status", [200, 302, 404, 500, None, -1])
def test_the_address_is_never_printed_or_logged(
    status: int | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(
        lambda *_: None if status is None else (status, {"Location": f"http://x/{SECRET}"}, SECRET)
    ) as service:
        port = service.url if status != -1 else "http://127.0.0.1:1"  # where nothing listens
        monkeypatch.setenv(VARIABLE, f"{port}/services/{SECRET}")
        monkeypatch.setattr("devenv.ci.notify.asyncio.sleep", _at_once)
        code = main(["notify", "deploy staging", "--verdict", "failed", "--timeout", "0.2"])
    shown = capsys.readouterr()
    assert code == {200: 0, None: 8}.get(status, 1), shown.err
    assert SECRET not in shown.out + shown.err + caplog.text


async def _at_once(_: float) -> None:
    return None


def test_a_notification_that_fails_changes_no_verdict(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert main(["notify", "x", "--verdict", "failed"]) == 2
    assert main(["notify", "x", "--verdict", "failed", "--ignore-errors"]) == 0
    with serving(lambda *_: (404, {}, "")) as service:
        monkeypatch.setenv(VARIABLE, f"{service.url}/services/{SECRET}")
        assert main(["notify", "x", "--verdict", "failed"]) == 1
        assert main(["notify", "x", "--verdict", "failed", "--ignore-errors"]) == 0
    assert "Nobody was notified" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [("--seconds", "-1"), ("--seconds", "nan"), ("--timeout", "0"), ("--link", "javascript:alert(1)")]
)
def test_wrong_words_are_refused(words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "https://example.com/services/x")
    assert main(["notify", "x", "--verdict", "failed", *words]) == 2


def test_the_run_of_github_is_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SERVER_URL": "https://github.example", "REPOSITORY": "a/b", "RUN_ID": "7"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    with serving(lambda *_: (200, {}, "ok")) as service:
        monkeypatch.setenv(VARIABLE, f"{service.url}/services/x")
        assert main(["notify", "deploy", "--verdict", "cancelled"]) == 0
    assert service.requests[0][2]["text"] == "⏹️ cancelled: deploy\nhttps://github.example/a/b/actions/runs/7"
