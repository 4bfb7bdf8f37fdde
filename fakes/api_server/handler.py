"""The HTTP side: one request in, one answer out; lists in pages and watches in chunks."""

from __future__ import annotations

import base64
import binascii
import json
import select
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from devenv.backends.kube.kinds import Kind
from fakes.api_server import subresources
from fakes.api_server.selectors import both
from fakes.api_server.served import document
from fakes.api_server.status import Object, Refusal, expired
from fakes.api_server.store import Change

if TYPE_CHECKING:
    from fakes.api_server.server import ApiServer

VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.2", "platform": "linux/amd64"}
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Listener(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128
    api: ApiServer
    stopping: threading.Event

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536
    disable_nagle_algorithm = True
    server: Listener

    def setup(self) -> None:
        super().setup()
        self.api = self.server.api
        self.api.connections.add(self.connection)

    def finish(self) -> None:
        self.api.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:
            self.close_connection = True  # the client went away in the middle of an answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = unquote(parts.path).rstrip("/") or "/"
        self.api.note(self.command, path, self.query)
        try:
            self.api.faults.wait(self.server.stopping)
            if self.server.stopping.is_set():
                self.close_connection = True
                return
            for prefix, code in self.api.faults.failing.items():
                if path.startswith(prefix):
                    self.reply(b"upstream failure", code, "text/plain")
                    return
            self.api.faults.check(path, self.headers.get("Authorization", ""))
            own = self.api.route(self.command, path)
            if own is not None:
                own(self, path, body)
                return
            self._dispatch(path, body)
        except Refusal as refusal:
            self.reply(refusal.body, refusal.code, headers=refusal.headers)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def _dispatch(self, path: str, body: bytes) -> None:
        segments = path.strip("/").split("/")
        if path == "/version":
            self.json(VERSION)
        elif path in ("/readyz", "/livez", "/healthz"):
            self.reply(b"ok", 200, "text/plain")
        elif segments[0] not in ("api", "apis"):
            raise Refusal(404, "the server could not find the requested resource", "NotFound")
        elif len(segments) <= (2 if segments[0] == "api" else 3):
            accepted = self.api.aggregated_discovery and "APIGroupDiscoveryList" in self.headers.get("Accept", "")
            self.json(document(segments, self.api.served, accepted))
        else:
            group, version = ("", segments[1]) if segments[0] == "api" else (segments[1], segments[2])
            self._resource(group, version, segments[2 if segments[0] == "api" else 3 :], body)

    def _resource(self, group: str, version: str, rest: list[str], body: bytes) -> None:
        namespace: str | None = None
        if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
            namespace, rest = rest[1], rest[2:]
        kind = self.api.served.at(group, version, rest[0])
        name = rest[1] if len(rest) > 1 else ""
        sub = rest[2] if len(rest) > 2 else ""
        watching = self.query.get("watch") in ("true", "1")
        verb = ("watch" if watching else "list") if self.command == "GET" and not name else VERBS[self.command]
        self.api.faults.check_kind(kind, namespace, verb)
        if watching and not name:
            self._watch(kind, namespace)
        elif verb == "list":
            self._list(kind, namespace)
        elif sub and sub != "status":
            subresources.answer(self, kind, namespace or "", name, sub, self.content(body) if body else {})
        else:
            self._object(kind, namespace or "", name, sub, body)

    def _object(self, kind: Kind, namespace: str, name: str, sub: str, body: bytes) -> None:
        do = self.api.operations
        manager = self.query.get("fieldManager") or self.headers.get("User-Agent", "unknown").partition("/")[0]
        dry_run = "dryRun" in self.query
        match self.command:
            case "GET":
                self.json(do.read(kind, namespace, name))
            case "POST":
                self.json(do.create(kind, namespace, self.content(body), manager, dry_run=dry_run), 201)
            case "PUT":
                content = self.content(body)
                self.json(do.replace(kind, namespace, name, content, manager, sub=sub, dry_run=dry_run))
            case "PATCH":
                media = self.headers.get("Content-Type", "").partition(";")[0]
                query = {"fieldManager": manager, **self.query}
                if media == "application/apply-patch+yaml":
                    query = self.query
                self.json(do.patch(kind, namespace, name, self.content(body), media, query, sub=sub))
            case "DELETE":
                options = self.content(body) if body else {}
                options.setdefault("propagationPolicy", self.query.get("propagationPolicy"))
                dry_run = dry_run or bool(options.get("dryRun"))  # kubectl says it in the body
                if not dry_run and kind.plural == "pods" and self.api.controllers.delete_pod(namespace, name, options):
                    self.json(do.read(kind, namespace, name))
                    return
                self.json(do.delete(kind, namespace, name, options, dry_run=dry_run))

    def _list(self, kind: Kind, namespace: str | None) -> None:
        wanted = both(self.query.get("labelSelector", ""), self.query.get("fieldSelector", ""))
        token = self.query.get("continue", "")
        with self.api.store.changed:
            version, after = _token(token) if token else (self.api.store.version, ("", ""))
            if token and (self.api.faults.expire_pages or version < self.api.store.oldest):
                raise expired("The provided continue parameter is too old to display a consistent list result.")
            entries = [entry for entry in self.api.store.all(kind, namespace) if wanted(entry.content)]
        left = [entry for entry in entries if _key(entry.content) > after] if token else entries
        limit = int(self.query.get("limit") or 0) or len(left)
        page, rest = left[:limit], len(left) - limit
        about: Object = {"resourceVersion": str(version)}
        if rest > 0:
            about["continue"] = _pack(version, _key(page[-1].content))
            about["remainingItemCount"] = rest
        head = {"kind": f"{kind.name}List", "apiVersion": kind.api, "metadata": about}
        items = b",".join(entry.raw for entry in page)
        self.reply(json.dumps(head).encode()[:-1] + b',"items":[' + items + b"]}\n")

    def _watch(self, kind: Kind, namespace: str | None) -> None:
        store, faults = self.api.store, self.api.faults
        wanted = both(self.query.get("labelSelector", ""), self.query.get("fieldSelector", ""))
        version = int(self.query.get("resourceVersion") or 0)
        bookmarks = self.query.get("allowWatchBookmarks") == "true" and faults.bookmark_every > 0
        ends = self.api.clock() + float(self.query.get("timeoutSeconds") or 1800)
        with store.changed:
            if version and version < store.oldest:
                raise expired(f"too old resource version: {version} ({store.oldest})")
            if not version:
                version = store.version
        self._begin("application/json")
        watch = self.api.watches.open(kind)
        bookmark_at = self.api.clock() + faults.bookmark_every
        try:
            while not self.server.stopping.is_set() and not watch.cut and self.api.clock() < ends:
                with store.changed:
                    changes = store.since(version, kind.full_name, namespace) if not faults.hanging else []
                    too_old = version < store.oldest
                    if not changes and not too_old:
                        version = version if faults.hanging else max(version, store.version)
                        store.changed.wait(0.05)
                if faults.hanging:
                    continue
                if too_old:
                    self._event("ERROR", expired(f"too old resource version: {version} ({store.oldest})").body)
                    break
                for change in changes:
                    told = _told(change, wanted)
                    if told:
                        self._event(told, change.after.raw)
                    version = change.version
                if bookmarks and self.api.clock() >= bookmark_at:
                    bookmark_at = self.api.clock() + faults.bookmark_every
                    content = {"kind": kind.name, "apiVersion": kind.api, "metadata": {"resourceVersion": str(version)}}
                    self._event("BOOKMARK", json.dumps(content).encode())
                if not changes and select.select([self.connection], [], [], 0)[0]:
                    self.close_connection = True  # nobody sends anything in a watch: the client is gone
                    return
            if watch.cut == "reset":
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.api.watches.done(watch)

    def _event(self, word: str, raw: bytes) -> None:
        data = b'{"type":"' + word.encode() + b'","object":' + raw.rstrip() + b"}\n"
        self.chunk(data)

    def _begin(self, media: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    begin = _begin

    def chunk(self, data: bytes) -> None:
        """Send a part of a streamed answer."""
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def json(self, content: Any, code: int = 200) -> None:
        self.reply(json.dumps(content).encode() + b"\n", code)

    def reply(
        self, body: bytes, code: int = 200, media: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(code)
        for name, value in {"Content-Type": media, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def content(self, body: bytes) -> Any:
        """Decode a body, JSON or YAML."""
        try:
            return json.loads(body)
        except ValueError:
            pass
        try:
            return yaml.safe_load(body)
        except yaml.YAMLError as error:
            raise Refusal(400, f"error decoding the body: {error}") from error


def _told(change: Change, wanted: Any) -> str:
    """Return the event's type as a watch with selectors sees it; "" where it does not."""
    fits = wanted(change.after.content)
    fitted = change.before is not None and wanted(change.before)
    if change.type == "DELETED":
        return "DELETED" if fitted else ""
    if fits:
        return "MODIFIED" if fitted else "ADDED"
    return "DELETED" if fitted else ""


def _key(content: Object) -> tuple[str, str]:
    return content["metadata"].get("namespace", ""), content["metadata"]["name"]


def _pack(version: int, key: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([version, *key]).encode()).decode()


def _token(text: str) -> tuple[int, tuple[str, str]]:
    try:
        version, namespace, name = json.loads(base64.urlsafe_b64decode(text))
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, "continue key is not valid") from error
    return version, (namespace, name)
