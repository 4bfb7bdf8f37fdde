"""What names a secret is no secret; what only looks like a name still is one."""

from __future__ import annotations

from devenv.secrets import scan_yaml

COMPOSE = """
services:
  db:
    image: postgres
    secrets: [db_password, api.token]
    build: {context: ., secrets: [pip_credentials]}
  web:
    secrets:
      - source: db_password
        target: password
      - "ghp_0123456789abcdefghij0123456789abcdef"
    environment:
      DB_PASSWORD: "Tr0ub4dor&3xyz"
secrets:
  db_password: {file: ./password.txt}
"""


def test_composes_short_syntax_names_a_secret() -> None:
    lines = [leak.line for leak in scan_yaml(COMPOSE, "compose.yaml")]
    assert [COMPOSE.splitlines()[line - 1].split(":")[0].strip(' -"') for line in lines] == [
        "ghp_0123456789abcdefghij0123456789abcdef",
        "DB_PASSWORD",
    ]


def test_a_list_of_secrets_elsewhere_is_told() -> None:
    assert list(scan_yaml("app:\n  secrets: [hunter2-and-more]\n", "settings.yaml"))
