"""Every parser of what comes from outside, with an input that it reads: what the tests damage, and libFuzzer as well.

`python -m tests.fuzz 60` lets Atheris, which has to be installed beside devenv, look for a minute (`make fuzz`). What
fails is printed with its traceback, and its input is in the file that is named then; it becomes a case of a test.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final
from unicodedata import category

if __name__ == "__main__":
    import atheris

    INSTRUMENTED = atheris.instrument_imports(include=["devenv"])
else:
    INSTRUMENTED = nullcontext()

with INSTRUMENTED:
    from devenv.backends.compose import ComposeOptions
    from devenv.backends.compose.resolve import parse_project
    from devenv.backends.docker.events import read_events
    from devenv.backends.docker.lines import ChunkDecoder, FrameParser, FramingError, LineAssembler
    from devenv.backends.docker.sampler import parse_stats
    from devenv.backends.kube.credentials import certificate_end
    from devenv.backends.kube.events import parse_event
    from devenv.backends.kube.kubeconfig import contexts
    from devenv.backends.kube.parse import parse
    from devenv.builds.dockerfile import image_references
    from devenv.builds.ignore import IgnoreMatcher, read_patterns
    from devenv.control.audit import AuditLog
    from devenv.control.stream import parse_line
    from devenv.core.errors import DevenvError
    from devenv.core.model import LogLine
    from devenv.core.settings import load_config
    from devenv.core.stored import Unreadable
    from devenv.core.text import quantity, sanitize, sanitize_styled
    from devenv.load.recording import read_run
    from devenv.logs.filter import parse_filter
    from devenv.logs.record import fields_of, level_of, readable
    from devenv.manifests.yamlread import YamlError, read_documents
    from devenv.runs.evidence import EvidenceFile, Header, Mark, read_evidence
    from devenv.runs.history import History
    from devenv.runs.lines import Tail
    from devenv.runs.publish import publish
    from devenv.verify.runner import read_report
    from tests.verify.verify_samples import report_of

SECONDS: Final = 5.0  # of CPU that a parser may take for an input of some kilobytes
ERRORS: Final = (DevenvError, FramingError, YamlError)  # what a parser may raise; each has a sentence
STAMP = b"2026-11-23T16:39:32.500000000Z "


def harmless(text: str) -> bool:
    """Whether a terminal does nothing by it: no control character, no half of a character, nothing that turns lines."""
    return not any(category(sign) in ("Cc", "Cs") or "\u202a" <= sign <= "\u202e" for sign in text)


def parts(data: bytes, size: int) -> Iterator[bytes]:
    """Cut it: small parts of what is small, as a connection may deliver it."""
    size = max(size, len(data) // 1000)
    return (data[position : position + size] for position in range(0, len(data), size))


def frames(data: bytes, folder: Path) -> None:
    parser, lines = FrameParser(), LineAssembler("docker/1")
    for part in parts(data, 7):
        shown = lines.feed_frames(parser.feed(part))
        assert all(harmless(line.text) for line in shown)


def terminal(data: bytes, folder: Path) -> None:
    lines = LineAssembler("docker/1")
    assert all(harmless(line.text) for line in [*lines.feed_raw(data), *lines.flush()])


def chunks(data: bytes, folder: Path) -> None:
    decoder = ChunkDecoder()
    for part in parts(data, 5):
        if decoder.done:
            break
        decoder.feed(part)


def events(data: bytes, folder: Path) -> None:
    list(read_events(parts(data, 11)))


def progress(data: bytes, folder: Path) -> None:
    for line in data.splitlines():
        list(parse_line(line))


def project(data: bytes, folder: Path) -> None:
    parse_project(data, ComposeOptions(directory=str(folder)))


def usage(data: bytes, folder: Path) -> None:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return  # the SDK's own matter
    if isinstance(said, dict):
        parse_stats(said)


def kubeconfig(data: bytes, folder: Path) -> None:
    (folder / "config").write_bytes(data)
    contexts({"KUBECONFIG": str(folder / "config"), "HOME": str(folder)})


def settings(data: bytes, folder: Path) -> None:
    (folder / "devenv.toml").write_bytes(data)
    load_config(folder / "devenv.toml", environ={})


def evidence(data: bytes, folder: Path) -> None:
    (folder / "evidence.jsonl").write_bytes(data)
    list(read_evidence(folder / "evidence.jsonl"))


def recording(data: bytes, folder: Path) -> None:
    (folder / "run.jsonl").write_bytes(data)
    list(Tail(folder / "run.jsonl").read())


def ignore(data: bytes, folder: Path) -> None:
    matcher = IgnoreMatcher(read_patterns(data[:20_000]))
    for path in ("a", "src/a.py", "node_modules/x/y", "\udcff/b", ""):
        assert matcher.ignores(path) in (True, False)


def dockerfile(data: bytes, folder: Path) -> None:
    image_references(data.decode("utf-8", "replace"), {"TAG": "1"}, "last")


def texts(data: bytes, folder: Path) -> None:
    text, styles = sanitize_styled(data)
    assert harmless(text)
    assert text == sanitize(data), "colours change no text"
    assert all(0 <= begin < end <= len(text) for begin, end, _ in styles)
    assert all(harmless(line) for line in sanitize(data, newlines=True).split("\n"))


def log_line(data: bytes, folder: Path) -> None:
    text = sanitize(data[:20_000])  # lines are cut where they are read
    assert 0 <= level_of(text) <= 6
    assert all(isinstance(value, str) for value in fields_of(text).values())
    readable(text)
    with suppress(ValueError):  # of a pattern that is none, as documented
        parse_filter(text[:500]).test(LogLine("docker/1", 1.0, "stdout", text))
    quantity(text)


def certificate(data: bytes, folder: Path) -> None:
    certificate_end(data.decode("latin-1"))


def cluster_object(data: bytes, folder: Path) -> None:
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        return  # the client's own matter
    if isinstance(raw, dict):
        for kind in ("Pod", "Deployment", "Job", "HorizontalPodAutoscaler", "Service", "Ingress", "Node", "Other"):
            shown = parse(raw, kind, "dev").resource
            assert harmless(f"{shown.name}{shown.service}{shown.status}"), shown
        parse_event(raw)


def manifest(data: bytes, folder: Path) -> None:
    read_documents(data.decode("utf-8", "replace"))


def audit(data: bytes, folder: Path) -> None:
    (folder / "audit.jsonl").write_bytes(data)
    assert all(harmless("".join(entry.cells)) for entry in AuditLog(folder / "audit.jsonl").entries())


def history(data: bytes, folder: Path) -> None:
    (folder / "history.sqlite3").write_bytes(data)
    with suppress(Unreadable):
        History(folder / "history.sqlite3").criteria("shop", "m")
    History(folder / "history.sqlite3", lenient=True).trend("cold_start", "shop", "m")


def run_file(data: bytes, folder: Path) -> None:
    (folder / "run.json").write_bytes(data)
    read_run(folder)


def report(data: bytes, folder: Path) -> None:
    (folder / "report.json").write_bytes(data)
    read_report(folder / "report.json")


def written_history(folder: Path) -> bytes:
    made = History(folder / "made.sqlite3")
    with made.writing():
        pass
    with closing(sqlite3.connect(made.path)) as database:
        database.executescript("PRAGMA page_size = 512; VACUUM;")
    return made.path.read_bytes()


def written_report(folder: Path) -> bytes:
    publish(report_of("r1", 1.0), folder / "made", {})
    return (folder / "made" / "report.json").read_bytes()


def written_evidence(folder: Path) -> bytes:
    file = EvidenceFile(folder / "written.jsonl")
    file.write(
        [Header(1, "r1", "shop", ("api",), 1.0), Mark(2.0, "failed", "why"), LogLine("docker/1", 3.0, "stdout", "a")]
    )
    file.close()
    return file.path.read_bytes()


EVENT = {
    "Type": "container", "Action": "die", "time": 1, "timeNano": 10**9,
    "Actor": {"ID": "a" * 64, "Attributes": {"exitCode": "3", "name": "web", "com.docker.compose.service": "web"}},
}  # fmt: skip
COMPOSE = {
    "name": "shop",
    "services": {
        "web": {
            "image": "a", "ports": [{"target": 80, "published": "8080", "protocol": "tcp"}], "environment": {"A": "b"},
            "depends_on": {"db": {"condition": "service_healthy"}},
            "healthcheck": {"test": ["CMD", "x"], "interval": "3s"},
            "deploy": {"replicas": 2, "resources": {"limits": {"memory": "1000"}}},
            "volumes": [{"type": "volume", "source": "d"}],
        },
        "db": {"image": "b", "restart": "always"},
    },
    "volumes": {"d": {"name": "shop_d"}},
}  # fmt: skip
STATS = {
    "cpu_stats": {"cpu_usage": {"total_usage": 5}, "system_cpu_usage": 9, "online_cpus": 2},
    "memory_stats": {"usage": 7, "limit": 9, "stats": {"inactive_file": 1}},
    "read": "2026-01-01T00:00:00Z",
}
KUBECONFIG = b"""apiVersion: v1
kind: Config
current-context: dev
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', certificate-authority-data: eA==}}]
users: [{name: u, user: {token: abc, exec: {apiVersion: client.authentication.k8s.io/v1, command: ./x, args: [a]}}}]
contexts: [{name: dev, context: {cluster: c, user: u, namespace: 'n'}}]
"""
SETTINGS = b"""read_only = false
wait_timeout = 30.5
[compose]
files = ["a.yaml"]
[kubernetes]
context = "dev"
allow = ["dev*"]
[tasks.lint]
command = "ruff ."
inputs = ["*.py"]
[confirm]
down = "ask"
"""
DOCKERFILE = b"""# syntax=docker/dockerfile:1
ARG TAG=1
FROM --platform=$BUILDPLATFORM python:${TAG:-3.12} AS base
RUN --mount=type=bind,from=other,target=/x <<EOF
echo hello
EOF
FROM base AS last
COPY --from=0 a b
"""
# Made with: openssl req -x509 -newkey ed25519 -nodes -keyout /dev/null -days 1 -subj /CN=x
CERTIFICATE = b"""-----BEGIN CERTIFICATE-----
MIIBLDCB36ADAgECAhQ4eW7KYigtNgCyKU6l7F7s4lUDVzAFBgMrZXAwDDEKMAgG
A1UEAwwBeDAeFw0yNjExMjgxOTAxMTFaFw0yNjExMjkxOTAxMTFaMAwxCjAIBgNV
BAMMAXgwKjAFBgMrZXADIQBPp+rPu05JNW6hZqpIRRlOtna1dovLpurRH7Zc/qDK
T6NTMFEwHQYDVR0OBBYEFFL9Wax+dVigsDweKriVMesiBXOkMB8GA1UdIwQYMBaA
FFL9Wax+dVigsDweKriVMesiBXOkMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2VwA0EA
5p4Rwp7nLnYAZ+plElNbsSH3821ybozxihec7a592bvc88ysT9IJFx1StevgFPQ9
42VK5OMZqHrxP5RkCp8FAQ==
-----END CERTIFICATE-----
"""
POD = {
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "web-1", "uid": "u", "labels": {"app": "web"}, "creationTimestamp": "2026-01-01T00:00:00Z",
                 "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d", "controller": True}]},
    "spec": {"nodeName": "n", "replicas": 2, "containers": [
        {"name": "web", "image": "a:1", "ports": [{"containerPort": 80}], "resources": {"limits": {"memory": "1Gi"}}}],
        "initContainers": [{"name": "i", "restartPolicy": "Always"}], "ports": [{"port": 80, "targetPort": "http"}],
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}],
        "rules": [{"host": "h", "http": {"paths": [{"path": "/", "backend": {"service": {"name": "s"}}}]}}]},
    "status": {"phase": "Running", "podIP": "10.0.0.1", "replicas": 1, "conditions": [
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "m"}],
        "containerStatuses": [{"name": "web", "restartCount": 3, "ready": False, "state": {"waiting": {"reason": "x"}},
                               "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled",
                                                            "finishedAt": "2026-01-01T00:00:01Z"}}}]},
    "involvedObject": {"kind": "Pod", "name": "web-1", "uid": "u"}, "reason": "BackOff", "message": "m", "count": 3,
    "type": "Warning", "lastTimestamp": "2026-01-01T00:00:00Z", "series": {"count": 2},
}  # fmt: skip
Parser = Callable[[bytes, Path], None]
PARSERS: tuple[tuple[Parser, Callable[[Path], bytes]], ...] = (
    (frames, lambda _: b"".join(bytes((n, 0, 0, 0)) + (36).to_bytes(4, "big") + STAMP + b"line\n" for n in (1, 2, 1))),
    (terminal, lambda _: (STAMP + b"\x1b[32mgreen\x1b[0m line\r\n") * 3),
    (chunks, lambda _: b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n"),
    (events, lambda _: json.dumps(EVENT).encode() + b"\n" + json.dumps(EVENT).encode() + b"\n"),
    (progress, lambda _: b'{"id":"Container web","status":"Working","text":"Starting","current":3,"total":9}\n'),
    (project, lambda _: json.dumps(COMPOSE).encode()),
    (usage, lambda _: json.dumps(STATS).encode()),
    (kubeconfig, lambda _: KUBECONFIG),
    (settings, lambda _: SETTINGS),
    (evidence, written_evidence),
    (ignore, lambda _: b"# comment\n!src/[a-z]*.py\n**/node_modules\n/a\\\\*b?[^x-z]\n./x/../y/\n"),
    (dockerfile, lambda _: DOCKERFILE),
    (texts, lambda _: b"a\x1b[1;31mred\x1b[0m\x1b]8;;http://x\x07link\x1b]8;;\x07\r\n\tb\xc2\x9b31m\xe2\x80\xae"),
    (log_line, lambda _: b'level=warn msg="a \\"b\\"" n=1 {"level":"error","msg":"x","at":{"b":[1,null]}} n~"a+"'),
    (certificate, lambda _: CERTIFICATE),
    (cluster_object, lambda _: json.dumps(POD).encode()),
    (manifest, lambda _: b"a: &a [1, 0x1f, 2026-01-01]\nb: *a\n---\nkind: Pod\nmetadata: {name: x}\n? y\n: !!str 1"),
    (audit, lambda _: b'{"at": "2026-11-23T16:39:32.5+00:00", "event": "allowed", "pid": 1, "request": 1, "verb": "up",'
     b' "services": ["web"], "user": "me"}\n{"event": "finished", "pid": 1, "request": 1, "seconds": 1.5}\n'),
    (history, written_history),
    (run_file, lambda _: b'{"schema": 1, "run": "r1", "began": 9.5, "target": {"kind": "compose", "project": "shop"},'
     b' "options": {"shape": "steady", "run_time": 60}}'),
    (report, written_report),
    (recording, lambda _: b'{"t": 1.0, "at": 2.0, "type": "phase", "name": "steady"}\n' * 3),
)  # fmt: skip

# What breaks parsers: ends of texts, numbers that are none or too large, nesting, markup, bidi, escapes, half UTF-8.
NASTY: Final = (
    b"\0", b"\n", b"\r\n", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\x1b]52;c;eA==\x07", b"\x1b[31m", b"[/foo]",
    b"\xe2\x80\xae",
    b"-1", b"1e999", b"99999999999999999999", b"NaN", b"null", b"true", b'""', b"{}", b"[]", b"{", b"[" * 300,
    b'{"a":' * 300,
    b"&a [*a]", b"!!python/object:os.system x", b"'''", b'"', b":", b"ffffffffffffffff\r\n",
    b"\x01\0\0\0\xff\xff\xff\xff",
)  # fmt: skip


def judge(parser: Parser, data: bytes, folder: Path) -> None:
    """Raise AssertionError unless that input is a value or an error with a harmless sentence, in bounded time."""
    began, said = time.thread_time(), "a value"
    try:
        parser(data, folder)
    except ERRORS as error:
        said = str(error).replace("\n", " ")
    took = time.thread_time() - began
    assert took < SECONDS, f"{took:.1f} s of CPU"
    assert said
    assert harmless(said), said


def main(seconds: str) -> None:
    """Let libFuzzer look at all parsers at once: the first byte of an input says whose it is. Ends the process."""
    corpus, folder = Path(mkdtemp(prefix="devenv-fuzz-")), Path(mkdtemp(prefix="devenv-fuzz-read-"))
    for number, (parser, made) in enumerate(PARSERS):
        (corpus / parser.__name__).write_bytes(bytes((number,)) + made(folder))
        for other, piece in enumerate(NASTY):
            (corpus / f"{parser.__name__}-{other}").write_bytes(bytes((number,)) + piece)

    def look(data: bytes) -> None:
        judge(PARSERS[data[0] % len(PARSERS)][0] if data else texts, data[1:], folder)

    options = (f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=1024", "-max_len=8192", "-verbosity=0")
    atheris.Setup(["fuzz", *options, f"-artifact_prefix={corpus}/failed-", "-print_final_stats=1", str(corpus)], look)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "60")
