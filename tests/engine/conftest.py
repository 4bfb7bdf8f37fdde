"""A real engine, a base image that is on this machine, and throw-away projects."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from stack_images import Images, built_images
from throwaway import Throwaway, throwaway

from devenv.backends.docker.client import connect
from devenv.backends.docker.endpoint import Endpoint, resolve_endpoint

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def engine() -> Endpoint:
    """The engine that the docker CLI would use; the test fails where none answers."""
    endpoint = resolve_endpoint(os.environ)
    connect(endpoint).close()
    return endpoint


@pytest.fixture(scope="session")
def base_image() -> str:
    """The name of a Python base image that needs no registry: scripts/base-image makes one where none can be pulled."""
    given = os.environ.get("DEVENV_TEST_IMAGE")
    if given:
        return given
    done = subprocess.run([ROOT / "scripts" / "base-image"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="session")
def stack_images(engine: Endpoint, base_image: str) -> Iterator[Images]:
    """The images of docsearch, built from this checkout."""
    with built_images(base_image) as images:
        yield images


@pytest.fixture
def project(engine: Endpoint, base_image: str, tmp_path: Path) -> Iterator[Callable[..., Throwaway]]:
    """Make projects of a name of their own, each with a reader; nothing of them is left afterwards."""
    with ExitStack() as stack:
        yield lambda **services: stack.enter_context(throwaway(tmp_path, base_image, services))
