"""Known vulnerabilities of images and locked dependencies, found by Trivy and pip-audit, judged by `[scan]`.

What could not be looked at is told apart from what was looked at and is clean: no scanner, no database, an image that
nobody has, a package that the database does not know, a distribution whose advisories have ended.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from devenv import __version__
from devenv.backends.programs import finish, last_words
from devenv.core import sarif
from devenv.core.decode import from_json
from devenv.core.errors import DevenvError
from devenv.core.scan_settings import Exemption, ScanSettings
from devenv.core.text import sanitize

SCHEMA: Final = 1  # grows when a field changes its meaning or goes away; new fields do not count
HEAD: Final = ("SEVERITY", "ID", "PACKAGE", "FIXED IN", "WHERE")
_TIMEOUT: Final = 600.0  # seconds for one subject; the first fetches the scanner's database
_SOON: Final = 14  # days before its end in which an exemption is mentioned
_SKIPPED: Final = 5  # packages in a line that says what was not looked at
Severity = Literal["unknown", "low", "medium", "high", "critical"]
_ORDER: Final = ("low", "medium", "high", "critical")


@dataclass(frozen=True, slots=True)
class Finding:
    """One vulnerability of one package in an image or a lock file. `severity` is unknown where nobody rated it."""

    subject: str
    package: str
    version: str
    id: str
    severity: Severity = "unknown"
    fixed_in: str = ""
    title: str = ""
    link: str = ""
    aliases: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scanner said of one subject."""

    subject: str
    scanner: str
    findings: tuple[Finding, ...] = ()
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanReport:
    """One scan, judged. `below` counts what the policy lets pass; `expired` are exemptions that hold no more."""

    subjects: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    excused: tuple[tuple[Finding, Exemption], ...] = ()
    below: int = 0
    expired: tuple[Exemption, ...] = ()
    unchecked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """passed, failed or inconclusive."""
        if self.findings or self.expired:
            return "failed"
        return "inconclusive" if self.unchecked else "passed"


def scan(images: Sequence[str], locks: Sequence[Path], root: Path) -> list[Scanned]:
    """Ask the scanners about each, side by side; never raises for what a scanner says or does not say."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        of_images = pool.map(_image, dict.fromkeys(images))
        of_locks = pool.map(partial(_lock, root=root), dict.fromkeys(locks))
        return [*of_images, *of_locks]


def judge(scanned: Sequence[Scanned], settings: ScanSettings, today: date, unchecked: Sequence[str] = ()) -> ScanReport:
    """Apply the policy."""
    findings: list[Finding] = []
    excused: list[tuple[Finding, Exemption]] = []
    below = 0
    holding = [item for item in settings.allow if item.expires >= today]
    for finding in (item for one in scanned for item in one.findings):
        exemption = next((item for item in holding if _covers(item, finding)), None)
        if not _counts(finding, settings):
            below += 1
        elif exemption is not None:
            excused.append((finding, exemption))
        else:
            findings.append(finding)
    used = {id(exemption) for _, exemption in excused}
    soon = [item for item in holding if (item.expires - today).days < _SOON]
    notes = [f"the exemption of {item.id} ends on {item.expires}: {item.reason}" for item in soon]
    notes += [f"the exemption of {item.id} excuses nothing" for item in holding if id(item) not in used]
    findings.sort(key=lambda item: (-_rank(item.severity), item.subject, item.package, item.id))
    return ScanReport(
        subjects=tuple(one.subject for one in scanned),
        findings=tuple(findings),
        excused=tuple(excused),
        below=below,
        expired=tuple(item for item in settings.allow if item.expires < today),
        unchecked=(*unchecked, *(text for one in scanned for text in one.unchecked)),
        notes=tuple(notes),
    )


def _counts(finding: Finding, settings: ScanSettings) -> bool:
    rated = finding.severity == "unknown" or _rank(finding.severity) >= _rank(settings.severity)
    return rated and (bool(finding.fixed_in) or not settings.fixable_only)


def _rank(severity: str) -> int:
    return _ORDER.index(severity) if severity in _ORDER else len(_ORDER)


def _covers(exemption: Exemption, finding: Finding) -> bool:
    names = {name.upper() for name in (finding.id, *finding.aliases)}
    return exemption.id.upper() in names and exemption.package in ("", finding.package)


# Trivy's report: https://trivy.dev/docs/latest/configuration/reporting/#json
class _TrivyFinding(msgspec.Struct, rename="pascal"):
    pkg_name: str
    vulnerability_id: str = msgspec.field(name="VulnerabilityID")
    installed_version: str = ""
    fixed_version: str = ""
    severity: str = ""
    title: str = ""
    primary_url: str = msgspec.field(name="PrimaryURL", default="")


class _TrivyResult(msgspec.Struct, rename="pascal"):
    vulnerabilities: list[_TrivyFinding] | None = None


class _TrivySystem(msgspec.Struct):
    family: str = msgspec.field(name="Family", default="")
    name: str = msgspec.field(name="Name", default="")
    ended: bool = msgspec.field(name="EOSL", default=False)


class _TrivyAbout(msgspec.Struct):
    system: _TrivySystem | None = msgspec.field(name="OS", default=None)


class _Trivy(msgspec.Struct):
    results: list[_TrivyResult] | None = msgspec.field(name="Results", default=None)
    about: _TrivyAbout = msgspec.field(name="Metadata", default_factory=_TrivyAbout)


def _image(image: str) -> Scanned:
    shown = sanitize(image)
    program = shutil.which("trivy")
    if program is None:
        return Scanned(shown, "Trivy", unchecked=(f"{shown}: Trivy is not installed here (docs/SECURITY.md)",))
    command = (program, "image", "--no-progress", "--scanners", "vuln", "--format", "json", "--", image)
    return _asked(shown, "Trivy", command, lambda report: _of_trivy(report, shown))


def _of_trivy(report: bytes, image: str) -> Scanned:
    parsed = from_json(report, _Trivy)
    system = parsed.about.system
    unchecked = []
    if not parsed.results:
        unchecked.append(f"{image}: Trivy recognised nothing in it: neither a distribution nor packages")
    if system is not None and system.ended:
        unchecked.append(f"{image}: {sanitize(f'{system.family} {system.name}')} gets no advisories any more")
    findings = tuple(
        Finding(
            subject=image,
            package=sanitize(item.pkg_name),
            version=sanitize(item.installed_version),
            id=sanitize(item.vulnerability_id),
            severity=_severity(item.severity),
            fixed_in=sanitize(item.fixed_version),
            title=sanitize(item.title),
            link=sanitize(item.primary_url),
        )
        for result in parsed.results or ()
        for item in result.vulnerabilities or ()
    )
    return Scanned(image, "Trivy", findings, tuple(unchecked))


def _severity(text: str) -> Severity:
    known: dict[str, Severity] = {"LOW": "low", "MEDIUM": "medium", "HIGH": "high", "CRITICAL": "critical"}
    return known.get(text.upper(), "unknown")


# pip-audit's report: https://github.com/pypa/pip-audit#json. It knows no severities.
class _Advisory(msgspec.Struct):
    id: str
    fix_versions: list[str] = []
    aliases: list[str] = []
    description: str = ""


class _Audited(msgspec.Struct):
    name: str
    version: str = ""
    skip_reason: str = ""
    vulns: list[_Advisory] = []


class _Audit(msgspec.Struct):
    dependencies: list[_Audited]


def _lock(lock: Path, root: Path) -> Scanned:
    shown = sanitize(str(lock.relative_to(root) if lock.is_relative_to(root) else lock))
    if not lock.is_file():
        return Scanned(shown, "pip-audit", unchecked=(f"{shown} is not there",))
    places = f"{os.environ.get('PATH', '')}{os.pathsep}{Path(sys.executable).parent}"
    program = shutil.which("pip-audit", path=places)
    if program is None:
        return Scanned(shown, "pip-audit", unchecked=(f"{shown}: pip-audit is not installed here (docs/SECURITY.md)",))
    # Nothing is resolved or installed: a lock names all that there is.
    options = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
    command = (program, "--requirement", str(lock), *options)
    text = lock.read_text("utf-8", errors="replace")
    return _asked(shown, "pip-audit", command, lambda report: _of_audit(report, shown, text))


def _of_audit(report: bytes, lock: str, text: str) -> Scanned:
    audited = from_json(report, _Audit).dependencies
    lines = {_normal(line.partition("==")[0]): number for number, line in enumerate(text.splitlines(), 1)}
    findings = tuple(
        Finding(
            subject=lock,
            package=sanitize(one.name),
            version=sanitize(one.version),
            id=sanitize(item.id),
            fixed_in=sanitize(", ".join(item.fix_versions)),
            title=sanitize(item.description)[:200],
            link=f"https://osv.dev/vulnerability/{sanitize(item.id)}",
            aliases=tuple(map(sanitize, item.aliases)),
            line=lines.get(_normal(one.name), 0),
        )
        for one in audited
        for item in one.vulns
    )
    skipped = [sanitize(one.name) for one in audited if one.skip_reason]
    unchecked = []
    if skipped:  # pip-audit itself calls this "no known vulnerabilities"
        more = f" and {len(skipped) - _SKIPPED} more" if len(skipped) > _SKIPPED else ""
        unchecked.append(f"{lock}: the database had nothing to say of {', '.join(skipped[:_SKIPPED])}{more}")
    if not audited:
        unchecked.append(f"{lock}: pip-audit found no package in it")
    return Scanned(lock, "pip-audit", findings, tuple(unchecked))


def _normal(name: str) -> str:
    """Return a package's name as https://packaging.python.org/specifications/name-normalization/ says."""
    return name.strip().lower().replace("_", "-").replace(".", "-")


def _asked(subject: str, scanner: str, command: Sequence[str], read: Callable[[bytes], Scanned]) -> Scanned:
    """Run a scanner. Its exit code says little: pip-audit ends with 1 for findings and for a network that is away."""
    try:
        done = finish(command, timeout=_TIMEOUT, what=scanner)
    except DevenvError as error:
        return Scanned(subject, scanner, unchecked=(f"{subject}: {error.message}",))
    try:
        return read(done.stdout)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        why = last_words(done) if done.returncode else f"its report cannot be read: {error}"
        return Scanned(subject, scanner, unchecked=(f"{subject}: {scanner} did not scan it: {sanitize(why)}",))


def rows(report: ScanReport) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table."""
    for item in report.findings:
        yield item.severity, item.id, f"{item.package} {item.version}", item.fixed_in or "-", _where(item)


def remarks(report: ScanReport) -> list[str]:
    """Return what stands below the table; the last line is the verdict."""
    lines = [f"excused: {item.id} in {item.package} ({item.subject}): {why.reason}" for item, why in report.excused]
    lines += [f"expired on {item.expires}: the exemption of {item.id}: {item.reason}" for item in report.expired]
    lines += [f"note: {sanitize(text)}" for text in report.notes]
    lines += [f"not scanned: {text}" for text in report.unchecked]
    counts = f"{len(report.findings)} found, {len(report.excused)} excused, {report.below} below the policy"
    return [*map(sanitize, lines), f"{report.verdict}: {counts}, {len(report.subjects)} scanned"]


def to_data(report: ScanReport) -> dict[str, Any]:
    """Return the report as plain data (docs/SECURITY.md)."""
    return {
        "schema": SCHEMA,
        "verdict": report.verdict,
        "scanned": list(report.subjects),
        "findings": [asdict(item) for item in report.findings],
        "excused": [asdict(item) | _exemption(why) for item, why in report.excused],
        "below_policy": report.below,
        "expired": [{"id": item.id, **_exemption(item)} for item in report.expired],
        "unchecked": list(report.unchecked),
        "notes": list(report.notes),
    }


def _exemption(item: Exemption) -> dict[str, str]:
    return {"reason": item.reason, "expires": item.expires.isoformat()}


def to_sarif(report: ScanReport) -> dict[str, Any]:
    """Return a SARIF log with one run; what is excused are suppressed results."""
    everything = [*report.findings, *(item for item, _ in report.excused)]
    rules = {item.id: _rule(item) for item in everything}
    order = {rule_id: index for index, rule_id in enumerate(rules)}
    results = [_result(item, order) for item in report.findings]
    results += [
        _result(item, order) | {"suppressions": [{"kind": "external", "justification": why.reason}]}
        for item, why in report.excused
    ]
    return sarif.log(list(rules.values()), results, __version__, report.unchecked)


def _rule(item: Finding) -> dict[str, Any]:
    text = item.title or item.id
    help_text = f"{text}\n{item.link}" if item.link else text
    return {"id": item.id, "shortDescription": {"text": text}, "help": {"text": help_text}}


def _result(item: Finding, order: dict[str, int]) -> dict[str, Any]:
    about = f"{item.package} {item.version} has {item.id} ({item.severity})"
    mended = f", mended in {item.fixed_in}" if item.fixed_in else ", and no version mends it yet"
    place = {"artifactLocation": sarif.artifact(item.subject), "region": {"startLine": max(1, item.line)}}
    identity = "\0".join((item.subject, item.package, item.id)).encode()
    return {
        "ruleId": item.id,
        "ruleIndex": order[item.id],
        "level": "error" if item.severity in ("high", "critical", "unknown") else "warning",
        "message": {"text": f"{about}{mended} ({_where(item)})"},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"vulnerability/v1": hashlib.sha256(identity).hexdigest()[:32]},
    }


def _where(item: Finding) -> str:
    return f"{item.subject}:{item.line}" if item.line else item.subject
