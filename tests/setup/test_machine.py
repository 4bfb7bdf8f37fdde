"""The setup scripts on the machine that runs the tests, after `make setup` has run on it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.engine


def test_the_engine_script_leaves_an_engine_that_answers_alone() -> None:
    done = subprocess.run([ROOT / "scripts" / "engine"], check=False, capture_output=True, text=True, cwd="/")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_base_image_makes_environments_and_checks_certificates() -> None:
    named = subprocess.run([ROOT / "scripts" / "base-image"], check=True, capture_output=True, text=True, cwd="/")
    program = (
        "import sqlite3, ssl, subprocess, sys, tempfile, venv\n"
        "assert sys.version_info >= (3, 11)\n"
        "sqlite3.connect(':memory:').execute('CREATE VIRTUAL TABLE t USING fts5(x)')\n"
        "assert ssl.create_default_context().cert_store_stats()['x509_ca'] > 0\n"
        "venv.create(folder := tempfile.mkdtemp(), with_pip=True)\n"
        "subprocess.run([folder + '/bin/python', '-m', 'pip', '--version'], check=True)\n"
    )
    command = ["docker", "run", "--rm", "--network=none", named.stdout.strip(), "python", "-c", program]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pip ")
