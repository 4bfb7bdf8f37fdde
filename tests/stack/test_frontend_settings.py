"""The environment: what it may say, and what is said about a bad value."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from _frontend import FRONTEND_DIR, Settings, base_environ
from docfront.server import server_config
from docfront.settings import SettingsError


def test_defaults_serve_this_machine_only() -> None:
    assert Settings.from_environ({}) == Settings(
        backend_url="http://127.0.0.1:8000",
        backend_connect_timeout=2.0,
        backend_timeout=15.0,
        backend_requests=100,
        host="127.0.0.1",
        port=3000,
        shutdown_timeout=8,
        log_level="info",
        reload=False,
    )


def test_every_variable_is_read() -> None:
    environ = {
        "BACKEND_URL": "https://[::1]:8443/",
        "BACKEND_CONNECT_TIMEOUT": "0.5",
        "BACKEND_TIMEOUT": "30",
        "BACKEND_REQUESTS": "20",
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "SHUTDOWN_TIMEOUT": "3",
        "LOG_LEVEL": "DEBUG",
        "RELOAD": "true",
    }
    assert Settings.from_environ(environ) == Settings(
        backend_url="https://[::1]:8443",
        backend_connect_timeout=0.5,
        backend_timeout=30.0,
        backend_requests=20,
        host="0.0.0.0",
        port=8080,
        shutdown_timeout=3,
        log_level="debug",
        reload=True,
    )
    assert set(environ) == set(Settings.NAMES)


def test_every_variable_is_documented() -> None:
    readme = (FRONTEND_DIR / "README.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", readme, re.MULTILINE)) == set(Settings.NAMES)


def test_empty_means_default() -> None:
    assert Settings.from_environ(dict.fromkeys(Settings.NAMES, " ")) == Settings.from_environ({})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BACKEND_URL", "backend:8000"),
        ("BACKEND_URL", "ftp://backend"),
        ("BACKEND_URL", "http://"),
        ("BACKEND_URL", "http://backend:port"),
        ("BACKEND_URL", "http://backend:99999"),
        ("BACKEND_URL", "http://backend:0"),
        ("BACKEND_URL", "http://backend/api"),
        ("BACKEND_URL", "http://backend?x=1"),
        ("BACKEND_URL", "http://[::1"),
        ("BACKEND_TIMEOUT", "0"),
        ("BACKEND_TIMEOUT", "nan"),
        ("BACKEND_TIMEOUT", "1e9"),
        ("BACKEND_CONNECT_TIMEOUT", "two"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "3000.0"),
        ("PORT", "٣٠٠٠"),
        ("PORT", "9" * 5000),
        ("SHUTDOWN_TIMEOUT", "-1"),
        ("LOG_LEVEL", "loud"),
        ("RELOAD", "maybe"),
    ],
)
def test_bad_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name}=.* is not usable: give "):
        Settings.from_environ({name: value})


def test_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environ({"BACKEND_URL": "http://user:hunter2@backend:8000"})
    assert "hunter2" not in str(caught.value)
    assert "BACKEND_URL" in str(caught.value)


def test_bad_value_ends_the_process_with_2() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "docfront"],
        cwd=FRONTEND_DIR,
        env={**base_environ(), "PORT": "http"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 2
    assert done.stderr == "docfront: PORT='http' is not usable: give a whole number from 1 to 65535\n"


def test_an_idle_connection_is_kept_longer_than_an_ingress_keeps_it() -> None:
    config = server_config(Settings.from_environ({}), "docfront.app:create_app", None)
    assert config.timeout_keep_alive > 90, "Traefik's; nginx's is 60 s"
