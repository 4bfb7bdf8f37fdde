"""The HTTP addresses of a stack as tests use them, and the writes, reads and reloads that devenv.toml describes.

An address is looked up at each call, and each call is written down as a probe."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from devenv.backends.docker.endpoint import published_at, resolve_endpoint
from devenv.core.errors import DevenvError, UsageError
from devenv.core.masking import mask_secrets
from devenv.core.model import Resource, Service, State
from devenv.core.text import sanitize
from devenv.core.verify_settings import CallSettings, EndpointSettings, PersistenceSettings, ReloadSettings
from devenv.runs.evidence import Probe
from devenv.verify.waiting import Absent, Lasting, Never, VerificationFailed, wait_until

if TYPE_CHECKING:
    from devenv.control.kube.forward import Forward

TIMEOUT = 10.0  # seconds for one call
BODY_KEPT = 500  # characters of an answer in a probe
# Nothing but a person, or a test, starts what is in one of these; what the engine itself starts again is "restarting".
AT_REST = (State.CREATED, State.EXITED, State.PAUSED, State.DEAD)

# What is published at these ports speaks no HTTP: mail, name service, directories, databases, queues, caches (IANA's
# service names, and the defaults of those that are not there).
NOT_HTTP = frozenset(
    {21, 22, 23, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1433, 1521, 1883, 2181, 3306, 4222, 5432, 5671, 5672}
    | {6379, 6380, 7687, 8883, 9042, 9092, 9093, 9094, 9300, 11211, 26379, 27017, 27018, 27019, 28015, 33060}
)


def http_ports(service: Service) -> list[int]:
    """Return the container's ports that are published and may answer HTTP."""
    return [port.container for port in service.ports if port.protocol == "tcp" and port.container not in NOT_HTTP]


class Endpoint:
    """One address. Ports are the engine's choice and change when a container starts anew, so none is remembered."""

    def __init__(
        self,
        settings: EndpointSettings,
        container: Callable[[str], Resource],
        record: Callable[[Probe], None],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.settings = settings
        self.name = settings.name
        self.health = settings.path or "/"
        self.ready = settings.ready
        self._container = container
        self._environ = environ
        self._record = record
        self._in_vain = ""
        self._client = httpx.Client(timeout=TIMEOUT, trust_env=False)

    @property
    def url(self) -> str:
        """The base address as it is now; raises DevenvError while the service does not run or publishes no port."""
        self._in_vain = ""
        try:
            resource = self._container(self.settings.service)
        except Absent as error:
            self._in_vain = error.message
            raise
        if resource.state is not State.RUNNING:
            if resource.state in AT_REST:
                self._in_vain = f"{self.settings.service} is {resource.state.value}, and nothing starts it"
            raise DevenvError(f"{self.settings.service} does not run: {resource.status}")
        published = [port for port in resource.ports if port.host and port.protocol == "tcp"]
        ports = [port for port in published if self.settings.port in (None, port.container)]
        if not ports:
            self._in_vain, hint = unpublished(self.settings.service, self.settings.port)
            raise DevenvError(self._in_vain, hint)
        return f"http://{published_at(ports[0], resolve_endpoint(self._environ))}:{ports[0].host}"

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call it; httpx's errors pass, and httpx.ConnectError also says that nothing is there to be called."""
        if path[:1] not in ("/", "?", ""):
            raise UsageError(f"{self.name} cannot be asked for {path!r}", "A path begins with a slash.")
        at, began = time.time(), time.monotonic()
        url, status, error, body = path, 0, "", ""
        try:
            try:
                url = f"{self.url}{path}"
            except DevenvError as problem:
                raise httpx.ConnectError(problem.message) from problem
            response = self._client.request(method, url, **options)
            status, body = response.status_code, response.text[:BODY_KEPT]
            return response
        except httpx.HTTPError as problem:
            error = f"{type(problem).__name__}: {sanitize(str(problem))}"
            raise
        finally:
            seconds = time.monotonic() - began
            shown = mask_secrets(sanitize(body))
            self._record(Probe(at, self.name, method, url, status, seconds, error, shown))

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """POST."""
        return self.request("POST", path, **options)

    def probe(self, path: str | None = None, timeout: float = TIMEOUT) -> Probe:
        """GET `path` (default: the health path) and return what came, whatever it is."""
        at, began = time.time(), time.monotonic()
        target = self.health if path is None else path
        try:
            answer = self.get(target, timeout=timeout)
        except httpx.HTTPError as error:
            text = f"{type(error).__name__}: {sanitize(str(error))}"
            return Probe(at, self.name, "GET", target, 0, time.monotonic() - began, text)
        body = sanitize(answer.text[:BODY_KEPT])
        return Probe(at, self.name, "GET", target, answer.status_code, time.monotonic() - began, "", body)

    def wait_served(self, timeout: float, path: str | None = None) -> float:
        """Wait until the path answers 2xx and return the seconds it took.

        Raises VerificationFailed, and Never as soon as it is known that nobody will answer.
        """
        __tracebackhide__ = True
        began = time.monotonic()
        strict = bool(path or self.settings.path)
        what = f"{self.name} to answer GET {path or self.health} with {'2xx' if strict else 'anything below 500'}"

        lasting = Lasting()

        def look() -> Probe:
            answer = self.probe(path, timeout=min(TIMEOUT, max(0.1, timeout)))
            lasting.look("" if answer.status else self.in_vain())
            return answer

        wait_until(what, look, timeout, lambda probe: probe.ok or (not strict and 0 < probe.status < 500))
        return time.monotonic() - began

    def in_vain(self) -> str:
        """Say why it is in vain to ask again, "" where it may not be; of the last call."""
        return self._in_vain

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class ForwardedEndpoint(Endpoint):
    """One address in a cluster: a port-forward, begun at the first call, that outlives the pods that it leads to."""

    def __init__(
        self,
        settings: EndpointSettings,
        make: Callable[[], Forward],
        record: Callable[[Probe], None],
        in_vain: Callable[[], str] = lambda: "",
    ) -> None:
        super().__init__(settings, _no_container, record)
        self._make = make
        self._why = in_vain
        self._forward: Forward | None = None
        self._local = 0

    def open(self) -> None:
        """Begin to forward; raises KubeError where the account or the cluster does not allow it."""
        if self._forward is None:
            forward = self._make()
            self._local = forward.start()
            self._forward = forward

    @property
    def url(self) -> str:
        """The local address; raises DevenvError while there is nothing that it could lead to."""
        self.open()
        return f"http://127.0.0.1:{self._local}"

    def in_vain(self) -> str:
        """Say why no pod will ever answer, "" where one may."""
        return self._why()

    def close(self) -> None:
        """Close the connections and the forward."""
        super().close()
        forward, self._forward = self._forward, None
        if forward is not None:
            forward.close()


def _no_container(service: str) -> Resource:
    raise DevenvError(f"{service} is not a container")


E = TypeVar("E", bound=Endpoint)


def endpoint_named(endpoints: Mapping[str, E], name: str) -> E:
    """Return an endpoint by its name; raises Never with the names there are."""
    try:
        return endpoints[name]
    except KeyError:
        there = ", ".join(endpoints) or "none"
        hint = "Describe it in devenv.toml: [[verify.endpoint]]."
        raise Never(f"no endpoint {name!r}; there are: {there}", hint) from None


def unpublished(service: str, port: int | None) -> tuple[str, str]:
    """Say that nobody can call it, with a hint."""
    what = f"port {port} of {service}" if port else f"a port of {service}"
    return f"{what} is not published", "Publish it under `ports`, or name another in [[verify.endpoint]]."


PAUSE = 0.02  # seconds between two writes of a writer, and after one that failed
PATIENCE = 5.0  # seconds for one write


def new_nonce() -> str:
    """Return a word that was never used before; letters first, as search engines like their words."""
    return f"n{uuid.uuid4().hex[:16]}"


class Persistence:
    """What a project writes and finds again. One collection (`prepare`) is made for each stack."""

    def __init__(self, settings: PersistenceSettings, endpoint: Callable[[str], Endpoint]) -> None:
        self._settings = settings
        self._endpoint = endpoint
        self._kept = ""

    def prepare(self) -> None:
        """Make what the writes need, once; raises VerificationFailed where the project refuses."""
        call = self._settings.prepare
        if call is None or self._kept:
            return
        answer = self._send(call, new_nonce())
        if not _fits(call, answer):
            raise VerificationFailed(f"{call.method} {call.path} to prepare writes", _explained(answer))
        self._kept = str(answer.json()[call.keep]) if call.keep else "prepared"

    def forget(self) -> None:
        """The store was emptied: what `prepare` made is gone."""
        self._kept = ""

    def write(self, nonce: str) -> bool:
        """Write it and return whether it was acknowledged; httpx's errors pass."""
        self.prepare()
        return _fits(self._settings.write, self._send(self._settings.write, nonce))

    def read(self, nonce: str) -> bool:
        """Return whether it is found; httpx's errors pass, and an answer that is an error raises VerificationFailed."""
        call = self._settings.read
        answer = self._send(call, nonce)
        if answer.status_code >= 500:
            raise VerificationFailed(f"{call.method} {call.path} to answer", _explained(answer))
        return answer.is_success and call.contains.replace("{nonce}", nonce) in answer.text

    def _send(self, call: CallSettings, nonce: str) -> httpx.Response:
        path, body = (text.replace("{nonce}", nonce).replace("{kept}", self._kept) for text in (call.path, call.body))
        options = {"content": body, "headers": {"Content-Type": "application/json"}} if body else {}
        return self._endpoint(call.endpoint).request(call.method, path, timeout=PATIENCE, **options)


class Writer:
    """Writes in a thread for as long as it runs, and remembers what was acknowledged."""

    def __init__(self, persistence: Persistence) -> None:
        self._persistence = persistence
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verify-writer", daemon=True)
        self.acknowledged: list[str] = []
        self.refused = 0

    def start(self) -> Writer:
        """Begin once writes are possible."""
        self._persistence.prepare()
        self._thread.start()
        return self

    def stop(self) -> None:
        """End; a write in flight is finished."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE + 1.0)

    def lost(self) -> list[str]:
        """Read back what was acknowledged and return what is not found."""
        return [nonce for nonce in list(self.acknowledged) if not self._persistence.read(nonce)]

    def _run(self) -> None:
        while not self._over.wait(PAUSE):
            nonce = new_nonce()
            try:
                done = self._persistence.write(nonce)
            except httpx.HTTPError:
                done = False
            if done:
                self.acknowledged.append(nonce)
            else:
                self.refused += 1


class Reload:
    """One source file of the private copy, and the answer that shows its change."""

    def __init__(self, settings: ReloadSettings, root: str, folder: str, endpoint: Endpoint) -> None:
        self.settings = settings
        self.service = settings.service
        self.endpoint = endpoint
        self.file = Path(folder) / settings.file.relative_to(root)
        if not self.file.is_file():
            raise DevenvError(f"{settings.file} does not exist", "Correct [[verify.reload]] file in devenv.toml.")
        self._original = self.file.read_text("utf-8")
        if settings.find not in self._original:
            raise DevenvError(
                f"{settings.file} does not contain {settings.find!r}", "Correct [[verify.reload]] find in devenv.toml."
            )

    def apply(self, nonce: str) -> None:
        """Change the source."""
        text = self._original.replace(self.settings.find, self.settings.replace.replace("{nonce}", nonce), 1)
        self.file.write_text(text, "utf-8")

    def served(self, nonce: str) -> bool:
        """Whether the change is in the answer; False while nothing answers."""
        try:
            return nonce in self.endpoint.get(self.settings.path, timeout=PATIENCE).text
        except httpx.HTTPError:
            return False

    def break_(self) -> None:
        """Put a syntax error at the end of the source."""
        self.file.write_text(self._original + self.settings.broken, "utf-8")

    def restore(self) -> None:
        """Put the source back as it was; a file that is as it was is not touched, which would be a change too."""
        if self.file.read_text("utf-8") != self._original:
            self.file.write_text(self._original, "utf-8")


def _fits(call: CallSettings, answer: httpx.Response) -> bool:
    return answer.status_code == call.status if call.status else answer.is_success


def _explained(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.text[:300]!r}"
