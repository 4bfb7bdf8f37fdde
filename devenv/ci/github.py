"""`devenv doctor --ci`: which secrets, variables and reviewers the workflows need in which environment, and which lack.

What is needed is read from the workflows; what is there is asked of GitHub's API, which tells names and never a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import yaml

from devenv.backends.programs import text_of
from devenv.core.errors import DevenvError
from devenv.core.stored import find
from devenv.core.text import sanitize
from devenv.doctor.check import Finding, Level

_USED: Final = re.compile(r"\b(secrets|vars)\.(\w+)")
_REMOTE: Final = re.compile(r"github\.com[:/](?P<name>[\w.-]+/[\w.-]+?)(?:\.git)?/?$")
_APPROVAL: Final = "-approval"  # environments whose only use is that somebody reviews (docs/CI_CD.md)
_TIMEOUT: Final = 15.0
_WHERE: Final = "Settings, Environments of the repository; docs/CI_CD.md says where each comes from."
_TOKEN: Final = "Put a token that may read the repository's environments and secrets into GH_TOKEN."
_KINDS: Final = {"secrets": "secrets", "vars": "variables"}


@dataclass(frozen=True, slots=True)
class Needs:
    """What jobs take from one environment, by name."""

    environment: str
    secrets: frozenset[str] = frozenset()
    vars: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return it in words."""
        words = [f"{_KINDS[kind]} {', '.join(sorted(getattr(self, kind)))}" for kind in _KINDS if getattr(self, kind)]
        return " and ".join(words) or "reviewers"


def needed(root: Path) -> list[Needs]:
    """Return what the workflows take from each environment; raises DevenvError for one that cannot be read."""
    used: dict[str, dict[str, set[str]]] = {}
    for file in sorted(find(root / ".github" / "workflows", "*.y*ml")):
        try:
            workflow = yaml.safe_load(file.read_text("utf-8"))
            jobs = [job for job in workflow["jobs"].values() if job.get("environment")]
        except (OSError, ValueError, yaml.YAMLError, RecursionError, AttributeError, KeyError, TypeError) as error:
            raise DevenvError(f"{file} is not a workflow: {sanitize(str(error))}") from error
        for job in jobs:
            environment = job["environment"]
            name = str(environment.get("name", "") if isinstance(environment, dict) else environment)
            kinds = used.setdefault(name, {kind: set() for kind in _KINDS})
            for kind, key in _USED.findall(str(job)):
                kinds[kind].add(key)
    return [Needs(name, **{kind: frozenset(keys) for kind, keys in kinds.items()}) for name, kinds in used.items()]


def check_environments(root: Path, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each environment that the workflows name; raises DevenvError as `needed` does."""
    needs = needed(root)
    if not needs:
        yield Finding("workflows", Level.OK, "No workflow takes anything from an environment")
        return
    token = environ.get("GH_TOKEN") or environ.get("GITHUB_TOKEN") or ""
    repository = environ.get("GITHUB_REPOSITORY") or _repository(root)
    address = environ.get("GITHUB_API_URL") or "https://api.github.com"
    why = ""
    if not token:
        why, fix = "there is no token to ask GitHub with", _TOKEN
    elif not repository:
        why, fix = "the repository on GitHub is not known", "Put OWNER/NAME into GITHUB_REPOSITORY."
    elif not re.match(r"https://|http://(127\.0\.0\.1|localhost|\[::1\])[:/]", address):
        why, fix = "GITHUB_API_URL does not begin with https://", "The token is sent to no other."
    if why:
        for need in needs:
            yield Finding(need.environment, Level.UNKNOWN, f"needs {need}; not looked at: {why}", fix)
        return
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
    with httpx.Client(base_url=f"{address.rstrip('/')}/repos/{quote(repository)}", headers=headers) as client:
        client.timeout = _TIMEOUT
        for need in needs:
            yield _check(client, need, repository)


def _check(client: httpx.Client, need: Needs, repository: str) -> Finding:
    """Ask for one environment; https://docs.github.com/rest/deployments/environments, .../rest/actions/secrets."""
    name, place = need.environment, f"/environments/{quote(need.environment, safe='')}"
    try:
        environment = _get(client, place)
        if environment is None:
            return Finding(name, Level.FAILED, f"{repository} has no such environment; it needs {need}", _WHERE)
        missing = []
        for kind, what in _KINDS.items():
            wanted = getattr(need, kind)
            answer = (_get(client, f"{place}/{what}?per_page=100") or {}) if wanted else {}
            there = {str(item.get("name", "")).upper() for item in answer.get(what, ())}
            missing += [f"{key} ({what.rstrip('s')})" for key in sorted(wanted) if key.upper() not in there]
    except _Unasked as error:
        return Finding(name, error.level, f"needs {need}; not looked at: {error.message}", error.hint)
    rules = [rule.get("type") for rule in environment.get("protection_rules") or ()]
    if name.endswith(_APPROVAL) and "required_reviewers" not in rules:
        missing.append("reviewers: without them everything goes to production at once")
    if missing:
        return Finding(name, Level.FAILED, f"lacks {', '.join(missing)}", _WHERE)
    return Finding(name, Level.OK, f"has its {need}")


class _Unasked(DevenvError):
    def __init__(self, level: Level, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.level = level


def _get(client: httpx.Client, path: str) -> dict[str, Any] | None:
    """Return what GitHub answers, None where that is not there; raises _Unasked."""
    try:
        answer = client.get(path)
        if answer.status_code == 404:
            return None
        if answer.status_code == 401:
            raise _Unasked(Level.FAILED, "GitHub does not accept the token: it has expired or was revoked", _TOKEN)
        if answer.status_code in (403, 429):
            raise _Unasked(Level.UNKNOWN, "the token may not read that, or asked too often", _TOKEN)
        if not answer.is_success:
            raise _Unasked(Level.UNKNOWN, f"GitHub answered {answer.status_code}", "Try again later.")
        data = answer.json()
    except httpx.HTTPError as error:
        why = f"GitHub was not reached: {type(error).__name__}"
        raise _Unasked(Level.UNKNOWN, why, "Is there a network, or a proxy to name with HTTPS_PROXY?") from None
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise _Unasked(Level.UNKNOWN, "GitHub's answer cannot be read", "Is GITHUB_API_URL the API's address?")
    return data


def _repository(root: Path) -> str:
    try:
        remote = text_of(("git", "remote", "get-url", "origin"), timeout=10, folder=str(root))
    except DevenvError:
        return ""
    match = _REMOTE.search(remote.strip())
    return match["name"] if match else ""
