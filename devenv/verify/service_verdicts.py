"""The last verdict of each service: which tests were about it, how they ended, and of which image and configuration.

An isolated copy builds images of its own, with labels and therefore ids of their own. What the image is made of is the
same: its layers, and its configuration without labels. Compose's hash of a service as it is declared is the label that
Compose puts on the containers of the working tree (compose, pkg/compose/hash.go: without build, replicas, profiles).
On Kubernetes it is the pod template of a workload, and the digests of the images that its pods run.

The verdicts are a table beside the measurements in the history's database; an older devenv does not look at it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from devenv.core.decode import convert
from devenv.core.stored import Moment
from devenv.runs.criteria import Verdict, worst
from devenv.runs.history import HistoryFile
from devenv.runs.report import Report

CONFIG_HASH: Final = "com.docker.compose.config-hash"


@dataclass(frozen=True, slots=True)
class Subject:
    """What was verified of a service: hashes of its image's content and of its configuration, "" where unknown."""

    image: str = ""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Verified:
    """All that a run verified on one runtime, by service; `place` is the cluster's, "" for the Compose project."""

    place: str = ""
    subjects: Mapping[str, Subject] = field(default_factory=dict)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Verified:
        """Read what was written by `dataclasses.asdict`."""
        return convert(data, cls)


def digests(image_ids: Iterable[str]) -> str:
    """Return what images are by the ids that kubelets report of them: REPOSITORY@DIGEST, or a digest alone."""
    return " ".join(sorted({image.rpartition("@")[2] for image in image_ids if image}))


def place_of(context: str, namespace: str) -> str:
    """Return the name under which verdicts about a namespace of a cluster are kept, beside those about projects."""
    return f"kubernetes:{context}/{namespace}"


def image_contents(ids: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the hash of the content of each image that the engine still has, by its id."""
    from devenv.verify.engine import docker

    images = sorted(set(filter(None, ids)))
    if not images:
        return {}
    # An image may be gone, and the others are listed all the same: the list ends before docker's complaint.
    text = docker("image", "inspect", *images, environ=environ, check=False)
    items, _ = json.JSONDecoder().raw_decode(text) if text.lstrip().startswith("[") else ([], 0)
    contents = {str(item["Id"]): _content(item) for item in items}
    return {image: contents[image] for image in images if image in contents}


def _content(image: Mapping[str, object]) -> str:
    config = image.get("Config")
    kept = {key: value for key, value in config.items() if key != "Labels"} if isinstance(config, dict) else {}
    files = image.get("RootFS")
    layers = files.get("Layers") if isinstance(files, dict) else None
    return hashlib.sha256(json.dumps([layers, kept], sort_keys=True).encode()).hexdigest()[:32]


KEPT: Final = 200  # runs of one project


class _Row(msgspec.Struct, frozen=True, array_like=True):
    run: str
    at: Moment
    service: str
    test: str
    verdict: Verdict
    image: str
    config: str
    whole: int


@dataclass(frozen=True, slots=True)
class ServiceVerdict:
    """The worst of the newest results of a service's tests; `at` is when that one ended, `tests` how many there are."""

    service: str
    verdict: Verdict
    at: float
    subject: Subject
    tests: int


class ServiceVerdicts(HistoryFile):
    """The table of the history's file."""

    def add(self, report: Report, subjects: Mapping[str, Subject], *, whole: bool) -> None:
        """Keep the results of a run on one runtime. `whole`: all tests were run, so that earlier runs count no more.

        A test that touched no service in particular is about all of them. The report's project is what the services
        belong to: a Compose project, or a place in a cluster (`devenv.verify.service_verdicts.place_of`).
        """
        at = report.began + report.seconds
        everything = tuple(subjects)
        unknown = Subject()
        rows = [
            (
                *(report.run, at, report.project, service, test.id, test.verdict.value),
                *(subjects.get(service, unknown).image, subjects.get(service, unknown).config, int(whole)),
            )
            for test in report.tests
            for service in test.services or everything
        ]
        with self.writing() as database:
            mine = (report.run, report.project)
            database.execute("DELETE FROM service_verdicts WHERE run = ? AND project = ?", mine)
            database.executemany(f"INSERT INTO service_verdicts VALUES ({','.join('?' * 9)})", rows)
            database.execute(
                "DELETE FROM service_verdicts WHERE project = ? AND run NOT IN"
                " (SELECT run FROM service_verdicts WHERE project = ? GROUP BY run ORDER BY MAX(at) DESC LIMIT ?)",
                (report.project, report.project, KEPT),
            )

    def of(self, project: str) -> dict[str, ServiceVerdict]:
        """Return the last verdict of each service of a project that was ever verified."""
        query = (
            "SELECT run, at, service, test, verdict, image, config, whole FROM service_verdicts"
            " WHERE project = ? ORDER BY at DESC"
        )
        rows = self.rows(_Row, query, project)
        verdicts = {service: _last(service, rows) for service in {row.service for row in rows}}
        return {service: last for service, last in verdicts.items() if last is not None}


def _last(service: str, rows: Iterable[_Row]) -> ServiceVerdict | None:
    """Judge the newest result of each test of the same content, back to the last run of all tests; None without any."""
    newest: dict[str, tuple[Verdict, float]] = {}
    subject: Subject | None = None
    end = ""
    for row in rows:
        if end and row.run != end:
            break
        if row.whole:
            end = row.run
        if row.service != service:
            continue
        of = Subject(row.image, row.config)
        subject = subject or of
        if of != subject:
            break
        newest.setdefault(row.test, (row.verdict, row.at))
    if not newest:
        return None  # it was renamed or removed, or the last run of all tests has none about it
    last = worst(verdict for verdict, _ in newest.values())
    at = max(at for verdict, at in newest.values() if verdict is last)
    return ServiceVerdict(service, last, at, subject or Subject(), len(newest))
