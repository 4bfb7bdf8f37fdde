"""Proof of a deployment: every endpoint answers, what was written is there after it, no request failed meanwhile.

It goes the way of the application's own Services: a port-forward takes the pods that the Service leads to. Availability
is that of an address that users have: it is asked while the deployment goes on. Requests are sent when they are due,
whatever became of those before, so that an address which answers slowly is asked as often as one that is fast.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import httpx

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.errors import Forbidden, KubeError, NotFound
from devenv.control.deploy.outcome import Check, Prover, Status
from devenv.control.kube.forward import Forward
from devenv.core.errors import DevenvError, UsageError
from devenv.core.text import sanitize
from devenv.core.verify_settings import EndpointSettings, VerifySettings
from devenv.runs.evidence import Probe
from devenv.verify.http import Endpoint, ForwardedEndpoint, Persistence, endpoint_named, new_nonce
from devenv.verify.waiting import VerificationFailed, wait_until

SERVED_WITHIN: Final = 15.0  # seconds: a Service hears of a ready pod within one or two
PREPARE_WITHIN: Final = 5.0  # seconds for what serves now; when it is broken, that is no reason not to deploy
_KINDS: Final = ("Service", "Deployment", "StatefulSet", "DaemonSet")
RATE: Final = 5.0  # requests a second: a gap of a fifth of a second is seen
WITHIN: Final = 1.0  # seconds: the budget of an answer; a person notices more
LEAST: Final = 20  # requests that a verdict is made of
_NAME: Final = "availability"
_AT_ONCE: Final = 16  # requests that may wait for an answer side by side: more than RATE * the time that one can take


class ClusterProver:
    """`devenv.control.deploy.outcome.Prover` by the `[verify]` tables of devenv.toml."""

    def __init__(
        self,
        client: KubeClient,
        objects: Sequence[Mapping[str, Any]],
        namespace: str,
        settings: VerifySettings,
        workloads: Mapping[str, str],
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._settings = settings
        self.probes: list[Probe] = []
        self._endpoints: dict[str, ForwardedEndpoint] = {}
        self._missing: dict[str, str] = {}
        for endpoint in settings.endpoints:
            item = _behind(workloads.get(endpoint.service, endpoint.service), objects)
            if item is None:
                self._missing[endpoint.name] = f"nothing that is deployed is called {endpoint.service}"
            else:
                forward = _forward(endpoint, item, client)
                self._endpoints[endpoint.name] = ForwardedEndpoint(endpoint, forward, self.probes.append)
        self._persistence = Persistence(settings.persistence, self._endpoint) if settings.persistence else None
        self._written: list[str] = []

    def prepare(self) -> Check:
        """Write data into what serves now. A failure of it is reported, and is no verdict on what comes."""
        name = "data before"
        refused = self._refused()
        if refused or self._persistence is None:
            return Check(name, Status.SKIPPED, refused or "devenv.toml has no [verify.persistence]")
        try:
            nonce = self._write(PREPARE_WITHIN)
        except (DevenvError, httpx.HTTPError, VerificationFailed) as error:
            self._persistence.forget()
            return Check(name, Status.SKIPPED, f"nothing could be written before the change: {_words(error)}")
        self._written.append(nonce)
        return Check(name, Status.DONE, "written, to be found after the change")

    def prove(self, objects: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
        """Ask every endpoint until it answers; then read what was written before, and write and read something new."""
        refused = self._refused()
        if refused:
            return (Check("endpoints", Status.INCONCLUSIVE, refused),)
        checks = [self._served(name) for name in self._endpoints]
        checks += [Check(name, Status.INCONCLUSIVE, why) for name, why in self._missing.items()]
        if not checks:
            return (Check("endpoints", Status.INCONCLUSIVE, "devenv.toml names no [[verify.endpoint]]"),)
        if self._persistence is not None and all(check.status is Status.DONE for check in checks):
            checks += [*self._kept(), self._fresh()]
        return tuple(checks)

    def close(self) -> None:
        """Close every forward."""
        for endpoint in self._endpoints.values():
            endpoint.close()

    def _served(self, name: str) -> Check:
        endpoint, began = self._endpoints[name], time.monotonic()
        try:
            endpoint.open()
            for path in dict.fromkeys((endpoint.settings.path, endpoint.settings.ready)):
                endpoint.wait_served(SERVED_WITHIN, path or None)
        except KubeError as error:
            return Check(name, Status.INCONCLUSIVE, f"it cannot be reached from here: {_words(error)}")
        except (DevenvError, VerificationFailed) as error:
            return Check(name, Status.FAILED, _words(error))
        paths = ", ".join(filter(None, (endpoint.settings.path, endpoint.settings.ready))) or "/"
        return Check(name, Status.DONE, f"answers {paths} ({time.monotonic() - began:.1f} s)")

    def _kept(self) -> list[Check]:
        checks = []
        for nonce in self._written:
            try:
                self._read(nonce)
            except (DevenvError, httpx.HTTPError, VerificationFailed) as error:
                checks.append(
                    Check("data kept", Status.FAILED, f"what was written before is not there: {_words(error)}")
                )
            else:
                checks.append(Check("data kept", Status.DONE, "what was written before the change is there"))
        return checks

    def _fresh(self) -> Check:
        try:
            self._read(self._write(SERVED_WITHIN))
        except (DevenvError, httpx.HTTPError, VerificationFailed) as error:
            return Check("data", Status.FAILED, f"it cannot be written and read: {_words(error)}")
        return Check("data", Status.DONE, "written and read")

    def _write(self, timeout: float) -> str:
        persistence = self._persistence
        assert persistence is not None
        nonce = new_nonce()
        wait_until("a write to be acknowledged", lambda: persistence.write(nonce), timeout, every=0.5)
        return nonce

    def _read(self, nonce: str) -> None:
        persistence = self._persistence
        assert persistence is not None
        wait_until("what was written to be found", lambda: persistence.read(nonce), SERVED_WITHIN, every=0.5)

    def _endpoint(self, name: str) -> Endpoint:
        return endpoint_named(self._endpoints, name)

    def _refused(self) -> str:
        """Ask whether the account may forward ports; the deployer of k8s/rbac may not, and a pipeline should know."""
        try:
            allowed = self._client.may("create", "pods", subresource="portforward", namespace=self._namespace)
        except (Forbidden, NotFound):
            return ""  # it cannot be asked: the forward itself will tell
        except KubeError as error:
            return f"the cluster does not answer: {_words(error)}"
        return "" if allowed else f"this account may not forward ports in {self._namespace} (create pods/portforward)"


def _behind(name: str, objects: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    named = [item for item in objects if (item.get("metadata") or {}).get("name") == name]
    return next((item for kind in _KINDS for item in named if item.get("kind") == kind), None)


def _forward(settings: EndpointSettings, item: Mapping[str, Any], client: KubeClient) -> Callable[[], Forward]:
    """Return what begins a forward to the rendered Service or workload; raises DevenvError without a port."""
    kind, name = str(item["kind"]).lower(), str(item["metadata"]["name"])
    namespace = str(item["metadata"].get("namespace") or client.target.namespace)
    port = settings.port or _only_port(item)
    return lambda: Forward(client, kind, name, port, namespace=namespace, patience=2.0)


def _only_port(item: Mapping[str, Any]) -> int:
    ports = list((item.get("spec") or {}).get("ports") or [])
    if len(ports) != 1:
        raise DevenvError(
            f"{item['kind']} {item['metadata']['name']} has {len(ports)} ports", "Name one in [[verify.endpoint]]."
        )
    return int(ports[0]["port"])


def _words(error: Exception) -> str:
    text = error.message if isinstance(error, DevenvError) else str(error)
    return sanitize(" ".join(text.split()))[:400]


def parse_address(text: str) -> httpx.URL:
    """Return the address of --available; raises UsageError."""
    example = "For example https://search.example.com/health."
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise UsageError(f"--available {text!r} is no address: {error}", example) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise UsageError(f"--available {text!r} is no address", example)
    return url


class AvailabilityProver:
    """A `Prover` around another.

    Where the address did not answer before the change, only what serves after it is judged.
    """

    def __init__(self, url: httpx.URL, inner: Prover | None, *, within: float = WITHIN, least: int = LEAST) -> None:
        self._url = url
        self._inner = inner
        self._within = within
        self._least = least
        self._client = httpx.Client(timeout=within, follow_redirects=False)
        self._window: _Window | None = None

    def prepare(self) -> Check:
        """Begin to ask, where it serves now; the inner prover prepares too."""
        failure = _ask(self._client, self._url, self._within)
        if not failure:
            self._window = _Window(self._client, self._url, self._within)
        before = "it serves, and is asked from now on" if not failure else f"before the change: {failure}"
        inner = self._inner.prepare() if self._inner is not None else None
        return (
            Check(inner.name, inner.status, f"{inner.text}; {before}") if inner else Check(_NAME, Status.DONE, before)
        )

    def prove(self, objects: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
        """Return the inner checks, and whether every request since `prepare` was answered well and in time."""
        checks = self._inner.prove(objects) if self._inner is not None else ()
        window = self._window or _Window(self._client, self._url, self._within)
        self._window = None  # a rollback is judged by what serves after it
        return (*checks, window.end(self._least))

    def close(self) -> None:
        """Stop asking."""
        if self._window is not None:
            self._window.end(0)
        self._client.close()
        if self._inner is not None:
            self._inner.close()


class _Window:
    """Requests from its making to its end."""

    def __init__(self, client: httpx.Client, url: httpx.URL, within: float) -> None:
        self._ask = partial(_ask, client, url, within)
        self._failures: list[str] = []
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="devenv-availability")
        self._thread = threading.Thread(target=self._run, name="devenv-availability", daemon=True)
        self._thread.start()

    def end(self, least: int) -> Check:
        """Go on until there are so many, and judge all of them."""
        while len(self._failures) < least and not self._over.wait(1 / RATE):
            pass
        self._over.set()
        self._thread.join()
        self._pool.shutdown()
        failures = Counter(filter(None, self._failures))
        if not failures:
            return Check(_NAME, Status.DONE, f"{len(self._failures)} requests, {RATE:.0f} a second, all answered")
        words = ", ".join(f"{count} {failure}" for failure, count in failures.most_common(3))
        return Check(_NAME, Status.FAILED, f"{failures.total()} of {len(self._failures)} requests failed: {words}")

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self._pool.submit(lambda: self._failures.append(self._ask()))
            due += 1 / RATE


def _ask(client: httpx.Client, url: httpx.URL, within: float) -> str:
    """Return "" or why the answer is not good."""
    began = time.monotonic()
    late = f"took longer than {within:g} s"
    try:
        answer = client.get(url)
    except httpx.TimeoutException:
        return late
    except httpx.HTTPError as error:
        return f"were not answered ({type(error).__name__})"
    if answer.status_code >= 400:
        return f"got {answer.status_code}"
    return late if time.monotonic() - began > within else ""
