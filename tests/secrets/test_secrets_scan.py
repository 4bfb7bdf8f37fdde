"""Committed secrets are found where people put them, placeholders and references are not, values are never shown."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest

from devenv.cli import main
from devenv.core.masking import mask_secrets
from devenv.manifests.credentials import is_random, judge, masked
from devenv.secrets import scan_env, scan_yaml

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"
VALUE = "correct-horse-battery"
RANDOM = "q7Zt2LmX9vB4nR8sKp3WdY6h"
KEY = "-----BEGIN EC PRIVATE KEY-----"
TOKENS = {
    "AKIA" + "IOSFODNN7EXAMPLE": "an AWS access key",
    "ghp_" + "a1B2" * 9: "a GitHub token",
    "glpat-" + "x" * 20: "a GitLab token",
    "xoxb-" + "1234567890-abc": "a Slack token",
    "AIza" + "A" * 35: "a Google API key",
    "sk_live_" + "a" * 24: "a Stripe key",
    "npm_" + "a" * 36: "an npm token",
    "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0.abcdefghijk": "a JSON web token",
    "postgresql://shop:" + "hunter22@db/shop": "an address with a password",
    KEY: "a private key",
}


@pytest.mark.parametrize("token", TOKENS)
def test_known_credentials_are_found_by_their_shape(token: str) -> None:
    assert judge("anything", f"prefix {token}") == TOKENS[token]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", ""),
        ("DB_PASSWORD", "change-me"),
        ("DB_PASSWORD", "<the password>"),
        ("DB_PASSWORD", "${DB_PASSWORD}"),
        ("DB_PASSWORD", "$(DB_PASSWORD)"),
        ("DB_PASSWORD", "********"),
        ("DB_PASSWORD_FILE", "/run/secrets/db"),
        ("SECRET_NAME", "database"),
        ("TOKEN_TTL", "3600"),
        ("automountServiceAccountToken", "false"),
        ("image", "registry.example/a@sha256:" + "0123456789abcdef" * 4),
        ("uid", "123e4567-e89b-12d3-a456-426614174000"),
        ("path", "/usr/local/share/ca-certificates/extra"),
        ("url", "https://user@host/path"),
        ("name", "a-rather-long-name-of-a-deployment-2"),
        ("DATABASE_URL", "postgresql://shop:${PASSWORD}@db/shop"),
        ("secret_name_template", "{namespace}-{user}-credentials"),
        ("password_min_length", "12"),
        ("additional_secret_mount", "some-secret"),
        ("imagePullSecret", "regcred"),
        ("max_tokens", "4096"),
        ("API_TOKEN", "op://vault/item/token"),
        ("CLIENT_SECRET", "arn:aws:secretsmanager:eu-west-1:1:secret:a"),
        ("PWD", "home"),
        ("password_policy_enabled", "maybe"),
        ("SENTINEL_ID_0", "3c0d9c0320bb34888c2df5757c718ce6ca992ce6"),
        ("DB_PASS", "your_database_password"),
        ("API_KEY", "YourApiKey"),
        ("CLUSTER_TOKEN", "INSERT_CLUSTER_TOKEN"),
        ("SERVER_KEY", "server.key"),
        ("JWT_SECRET_KEY", "%kernel.project_dir%/config/jwt/private.pem"),
        ("SSH_KEY", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG person"),
        ("BASIC_AUTH", "enabled"),
        ("DB_URL", "jdbc:postgresql://db/shop?user=shop&password=${DB_PASS}"),
        ("DB_DSN", "host=db user=shop password={password}"),
        ("args", "mount the password=file option; see the guide"),
        ("cache_key", VALUE),
        ("session_key_length", VALUE),
        ("bypass", VALUE),
        ("monkey", VALUE),
        ("design_key", VALUE),
    ],
)
def test_placeholders_references_and_public_values_are_no_secrets(name: str, value: str) -> None:
    assert judge(name, value) == ""


NAMES = (
    *("DB_PASS", "MYSQL_PWD", "SESSION_KEY", "SECRET_KEY_BASE", "adminPassword", "API_TOKEN_2", "DB_PASSWORD_PROD"),
    *("PASS", "smtppass", "redis.pass", "DB_PASSWD", "ROOT_PW", "SSH_PASSPHRASE", "PASSCODE", "WIFI_PSK", "GITHUB_PAT"),
    *("CREDENTIAL", "GOOGLE_CREDENTIALS", "APIKEY", "api-key", "apiKey", "XApiKey", "X_API_KEY_1", "OPENAI_KEY"),
    *("SSH_KEY", "LICENSE_KEY", "CSRF_KEY", "DECRYPTION_KEY", "SERVICE_KEY", "REDISCLI_AUTH", "BASIC_AUTH"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_secrets_name_is_known_by_its_last_word_and_its_value_masked(name: str) -> None:
    assert judge(name, VALUE) == "a secret by its name"
    assert name == "PASS" or VALUE not in mask_secrets(f"{name}={VALUE}")


@pytest.mark.parametrize(
    "value",
    [
        "jdbc:postgresql://db/shop?user=shop&password=hunter22",
        "postgres://db/shop?password=hunter22",
        "host=db user=shop password=hunter22 dbname=shop",
        "Server=db;Database=shop;User Id=sa;Password=hunter22;",
        "Data Source=db;Uid=sa;Pwd=hunter22;",
        "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=" + RANDOM * 3,
    ],
)
def test_a_connection_with_a_password_is_found_under_any_name(value: str) -> None:
    assert judge("BACKEND", value) == "a connection with a password"


def test_chance_is_told_from_language() -> None:
    assert is_random(RANDOM)
    assert is_random("9f86d081884c7d659a2feaa0c55ad015")
    assert not is_random("topologySpreadConstraints1Name")
    assert not is_random("0" * 64)
    assert not is_random("short1A")


def test_a_mask_says_the_length_and_nothing_else() -> None:
    assert masked("hunter22") == "•••• (8 characters)"


@pytest.mark.parametrize(
    "text",
    [
        f"kind: Secret\nstringData:\n  anything: {VALUE}\n",
        f"kind: Secret\ndata: {{tls.key: {base64.b64encode(VALUE.encode()).decode()}}}\n",
        f"env:\n  - name: DB_PASSWORD\n    value: {VALUE}\n",
        f"services: {{db: {{environment: {{POSTGRES_PASSWORD: {VALUE}}}}}}}\n",
        f"services: {{db: {{environment: [POSTGRES_PASSWORD={VALUE}]}}}}\n",
        f"services: {{db: {{environment: {{POSTGRES_PASSWORD: '${{POSTGRES_PASSWORD:-{VALUE}}}'}}}}}}\n",
        f"secretGenerator: [{{name: a, literals: [password={VALUE}]}}]\n",
        f"args: [--api-token={VALUE}]\n",
        f"session: {RANDOM}\n",
        f"ca: |\n  {KEY}\n  abc\n",
        f"broken: [\n{KEY}\n",
    ],
)
def test_a_secret_in_yaml_is_found_and_not_shown(text: str) -> None:
    (leak,) = scan_yaml(text, "x.yaml")
    assert leak.line > 0
    assert VALUE not in repr(leak)
    assert RANDOM not in repr(leak)
    assert leak.shown.endswith("characters)")


@pytest.mark.parametrize(
    "text",
    [
        "kind: Secret\nstringData: {password: change-me}\n",
        "kind: Secret\nstringData: {ca.crt: '-----BEGIN CERTIFICATE-----'}\n",
        f"kind: Secret\ndata: {{password: {base64.b64encode(b'<password>').decode()}}}\n",
        "kind: ExternalSecret\nspec: {data: [{secretKey: password, remoteRef: {key: shop/database}}]}\n",
        f"kind: SealedSecret\nspec: {{encryptedData: {{password: {RANDOM * 4}}}}}\n",
        f"kind: Secret\nstringData: {{password: 'ENC[{RANDOM}]'}}\nsops: {{mac: x}}\n",
        "env:\n  - name: DB_PASSWORD\n    valueFrom: {secretKeyRef: {name: db, key: password}}\n",
        "services: {db: {environment: {POSTGRES_PASSWORD: '${POSTGRES_PASSWORD:?set it}'}}}\n",
        "with: {token: '${{ secrets.GITHUB_TOKEN }}'}\n",
        "caBundle: " + base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMIIB1\n").decode() + "\n",
        "a: &x {b: *x}\n",
        "services: {db: {environment: [\"DB_PASS='<the password>'\"]}}\n",
    ],
)
def test_yaml_without_a_secret_is_clean(text: str) -> None:
    assert list(scan_yaml(text, "x.yaml")) == []


def test_env_files_are_read_line_by_line() -> None:
    text = f"# PASSWORD={VALUE}\nexport API_TOKEN='{VALUE}'\nEMPTY_TOKEN=\nLEVEL=info\nKEY={RANDOM}\n"
    text += f"DB_PASS = ''   # the password\nDB_PWD={VALUE} # the password\n"
    assert [(leak.name, leak.line) for leak in scan_env(text, ".env")] == [("API_TOKEN", 2), ("KEY", 5), ("DB_PWD", 7)]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    environ = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True, timeout=30)
    monkeypatch.chdir(tmp_path)
    return tmp_path


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str]:
        code = main(["secrets", "check", *arguments])
        return code, capsys.readouterr().out

    return run


def test_what_git_ignores_is_not_committed(repository: Path, run: Run) -> None:
    (repository / ".gitignore").write_text(".env\n", "utf-8")
    (repository / ".env").write_text(f"DB_PASSWORD={VALUE}\n", "utf-8")
    (repository / ".env.example").write_text("DB_PASSWORD=change-me\n", "utf-8")
    assert run()[0] == 0
    subprocess.run(["git", "-C", str(repository), "add", "-f", ".env"], check=True, timeout=30)
    code, out = run()
    assert code == 11
    assert ".env:1: DB_PASSWORD is a secret by its name: •••• (21 characters)" in out
    assert VALUE not in out


def test_every_kind_of_file_is_searched_and_json_is_as_documented(repository: Path, run: Run) -> None:
    (repository / "k8s").mkdir()
    (repository / "k8s" / "secret.yaml").write_text(f"kind: Secret\nstringData: {{a: {VALUE}}}\n", "utf-8")
    (repository / "id_ed25519").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n", "utf-8")
    (repository / "app.py").write_text(f"password = '{VALUE}'\n", "utf-8")
    code, out = run("--json")
    report = json.loads(out)
    jsonschema_rs.validate(json.loads((SCHEMAS / "secrets-report.schema.json").read_text("utf-8")), report)
    assert (code, report["verdict"], report["files"]) == (11, "failed", 2)
    assert {leak["file"] for leak in report["leaks"]} == {"k8s/secret.yaml", "id_ed25519"}
    assert VALUE not in out


def test_a_file_that_cannot_be_searched_makes_the_verdict_inconclusive(repository: Path, run: Run) -> None:
    (repository / "big.yaml").write_text("a: 1\n" * 250_000, "utf-8")
    code, out = run()
    assert code == 12
    assert "big.yaml is larger than 1 MB" in out


def test_outside_a_repository_everything_is_searched_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    (tmp_path / ".env").write_text(f"A_TOKEN={VALUE}\n", "utf-8")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    code, out = run(str(tmp_path))
    assert code == 11
    assert "is in no git repository" in out


def test_hostile_names_and_values_are_harmless(repository: Path, run: Run) -> None:
    (repository / "a\x1b[31m.yaml").write_text('"\\e]0;x\\aPASSWORD": "\\e[31mvalue-of-it"\n', "utf-8")
    code, out = run()
    assert code == 11
    assert "\x1b" not in out


def test_a_path_that_is_not_there_is_a_wrong_command(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nowhere")[0] == 2
