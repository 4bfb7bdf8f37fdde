"""Secrets: what is learnt from environments and what looks like one is hidden, and nothing else is."""

from __future__ import annotations

import base64
import html
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from devenv.backends.compose.find import ComposeOptions
from devenv.backends.compose.resolve import parse_project
from devenv.backends.docker.lines import LineAssembler
from devenv.core import masking
from devenv.core.masking import MASK, KnownValues, MaskSettings, learn, mask_secrets, mask_texts, shown_value
from devenv.core.model import Resource, Runtime, Seen, State
from devenv.core.settings import load_config
from devenv.runs.evidence import encode

SECRET = 'p1anted/Se"cret&+'


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "KNOWN", KnownValues())


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("POSTGRES_PASSWORD=hunter2 next", f"POSTGRES_PASSWORD={MASK} next"),
        ('{"api_key": "abc def"}', f'{{"api_key": {MASK}}}'),
        ("postgres://u:p4ss@db/x", f"postgres://u:{MASK}@db/x"),
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {MASK}"),
        ("key AKIAABCDEFGHIJKLMNOP", f"key {MASK}"),
        ("{'DB_PASS': 'hunter2', 'MYSQL_PWD': 'x y'}", f"{{'DB_PASS': {MASK}, 'MYSQL_PWD': {MASK}}}"),
        (
            "SESSION_KEY=abcd1234 --from-literal=redis-pass=hunter2",
            f"SESSION_KEY={MASK} --from-literal=redis-pass={MASK}",
        ),
        (
            "client_key: hunter22, ADMIN_PW: a, rediscli_auth=b",
            f"client_key: {MASK}, ADMIN_PW: {MASK}, rediscli_auth={MASK}",
        ),
        ("the tokenizer is fine", "the tokenizer is fine"),
        ("PWD=/app OLDPWD=/ tls_client_key=client.pem", "PWD=/app OLDPWD=/ tls_client_key=client.pem"),
        ("first_pass: 12, session_key_length=32, cache_key=a", "first_pass: 12, session_key_length=32, cache_key=a"),
        ("a.b-" * 25_000, "a.b-" * 25_000),
        ("GET /?q=password HTTP/1.1", "GET /?q=password HTTP/1.1"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked


@pytest.mark.parametrize(
    "name", ["API_TOKEN", "db_password", "MY_SECRET", "STRIPE_KEY", "KEY", "KEY_ID", "PGPASS", "Credentials", "AUTH_PW"]
)
def test_a_value_is_secret_by_the_name_of_its_variable(name: str) -> None:
    known = KnownValues()
    known.learn([(name, SECRET), ("PAGE_SIZE", "123456789"), ("MONKEYS", "twenty-four")])
    assert known.hide(f"said {SECRET} of 123456789 twenty-four") == f"said {MASK} of 123456789 twenty-four"


def test_every_form_in_which_a_value_is_written_is_hidden() -> None:
    learn({"API_TOKEN": SECRET})
    encoded = base64.b64encode(SECRET.encode()).decode()
    for form in (SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], html.escape(SECRET), encoded):
        assert mask_secrets(f"x{form}y {form}") in (f"x{MASK}y {MASK}", f"x{MASK}=y {MASK}=", f"x{MASK}==y {MASK}==")


def test_the_lines_of_a_key_are_hidden_one_by_one() -> None:
    learn({"TLS_KEY": "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBg\nkqhkiG9w0BAQEFA\n-----END PRIVATE KEY-----\n"})
    assert mask_secrets("kqhkiG9w0BAQEFA") == MASK
    assert mask_secrets("-----END PRIVATE KEY-----") == "-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("postgres://shop:hunter2hunter2@db:5432/shop", "hunter2hunter2"),
        ("redis://:p%40ssw0rd@cache", "p@ssw0rd"),
        ("Server=db;User=sa;Password=Str0ngOne;", "Str0ngOne"),
    ],
)
def test_the_password_of_a_connection_is_secret_whatever_the_name(value: str, secret: str) -> None:
    learn([f"DATABASE={value}"])
    assert mask_secrets(f"login with {secret} failed at db:5432/shop") == f"login with {MASK} failed at db:5432/shop"


@pytest.mark.parametrize("value", ["abc12", "true", "postgres", "Changeme", "password", "/run/secrets/db_password"])
def test_what_would_hide_other_words_is_hidden_beside_its_name_alone(value: str) -> None:
    learn({"DB_PASSWORD": value})
    assert mask_secrets(f"a {value} b") == f"a {value} b"
    assert shown_value("DB_PASSWORD", value) == MASK


def test_a_plain_word_that_stands_openly_beside_it_is_no_secret_elsewhere() -> None:
    learn({"POSTGRES_USER": "docsearch", "POSTGRES_PASSWORD": "docsearch", "OPEN": "x9x9x9x9", "A_TOKEN": "x9x9x9x9"})
    assert mask_secrets("docsearch-backend-1 x9x9x9x9") == f"docsearch-backend-1 {MASK}", "only a plain word is spared"


def test_names_about_a_secret_are_no_secret() -> None:
    learn({"TOKEN_FILE": "somewhere", "TOKEN_TTL": "one-hour", "PASSWORD_LENGTH": "thirty-two"})
    assert mask_secrets("somewhere one-hour thirty-two") == "somewhere one-hour thirty-two"


def test_the_projects_file_adds_names_and_takes_names_out(tmp_path: Path) -> None:
    (tmp_path / "devenv.toml").write_text('[mask]\nnames = ["*_dsn", "PLACE"]\nkeep = ["SORT_KEY"]\n')
    assert load_config(tmp_path, {}).mask == MaskSettings(("*_dsn", "PLACE"), ("SORT_KEY",))
    learn({"APP_DSN": "somewhere-else", "SORT_KEY": "created-at"})
    assert mask_secrets("somewhere-else created-at") == f"{MASK} created-at"
    assert mask_secrets("app_dsn=short, PLACE: here, SORT_KEY=a") == f"app_dsn={MASK}, PLACE: {MASK}, SORT_KEY=a"
    assert (shown_value("PLACE", "x"), shown_value("SORT_KEY", "a")) == (MASK, "a")


def test_the_longest_of_two_values_is_hidden_whole_and_the_newest_are_known() -> None:
    learn({"A_TOKEN": "abcdef", "B_TOKEN": "abcdefghij"})
    assert mask_secrets("abcdefghij abcdef") == f"{MASK} {MASK}"
    known = KnownValues()
    known.learn([("A_TOKEN", "the-first-one")])
    known.learn([(f"TOKEN_{number}", f"value-{number:05}") for number in range(4_000)])
    assert known.hide("the-first-one value-03999") == f"the-first-one {MASK}"


def test_hundreds_of_values_cost_a_line_no_more_than_its_length() -> None:
    def cost(values: int) -> float:
        known = KnownValues()
        known.learn([(f"TOKEN_{number}", f"{number * 7919:x}-secret-value") for number in range(values)])
        line = "2026-11-28 11:48:21,123 INFO [worker-3] handled GET /api/documents?page=3 in 12 ms user=anna " * 20
        return min(_seconds(known, line) for _ in range(5))

    assert cost(1_000) < 40 * max(cost(10), 1e-6), "one by one it would be a hundred times"


def _seconds(known: KnownValues, line: str) -> float:
    start = time.process_time()
    for _ in range(20):
        known.hide(line)
    return time.process_time() - start


def test_a_compose_file_and_its_files_of_secrets_are_learnt(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("fr0m-a-file\n")
    document = {
        "name": "shop",
        "services": {"web": {"environment": {"API_TOKEN": "fr0m-the-environment", "EMPTY_TOKEN": None}}},
        "secrets": {"db": {"file": str(tmp_path / "db")}, "gone": {"file": str(tmp_path / "gone")}},
    }
    parse_project(json.dumps(document).encode(), ComposeOptions(str(tmp_path)))
    assert mask_secrets("fr0m-a-file, fr0m-the-environment") == f"{MASK}, {MASK}"


def test_a_line_of_a_log_is_masked_where_it_is_read() -> None:
    learn({"API_TOKEN": SECRET})
    (line,) = LineAssembler("key").feed_raw(f"2026-11-28T11:48:21.5Z \x1b[31mgot\x1b[0m {SECRET} password=x\n".encode())
    assert line.text == f"got {MASK} password={MASK}"


def test_every_text_of_evidence_is_masked() -> None:
    learn({"API_TOKEN": SECRET})
    command = f"serve --as {SECRET}"
    web = Resource("docker/1", Runtime.COMPOSE, "container", "web", "web", State.DEAD, command=command, error=SECRET)
    line = encode(Seen("docker", web))
    assert "p1anted" not in line
    assert json.loads(line)["resource"]["command"] == f"serve --as {MASK}"


def test_data_keeps_its_keys_and_numbers() -> None:
    learn({"API_TOKEN": SECRET})
    assert mask_texts({"key": ["a", SECRET, 7, None], SECRET: True}) == {"key": ["a", MASK, 7, None], SECRET: True}
