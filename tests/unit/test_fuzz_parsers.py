"""Every parser of what comes from outside, on damaged input: a value or an error with a sentence, nothing else.

Damage is by chance from a seed that is part of the test's name, so that a failure can be had again; what fails is in
the message. A property that only a certain input shows has a test of its own beside the parser.
"""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final
from unicodedata import category

import pytest

from devenv.backends.compose import ComposeOptions
from devenv.backends.compose.resolve import parse_project
from devenv.backends.docker.events import read_events
from devenv.backends.docker.lines import ChunkDecoder, FrameParser, FramingError, LineAssembler
from devenv.backends.docker.sampler import parse_stats
from devenv.backends.kube.kubeconfig import contexts
from devenv.control.stream import parse_line
from devenv.core.errors import DevenvError
from devenv.core.model import LogLine
from devenv.core.settings import load_config
from devenv.runs.evidence import EvidenceFile, Header, Mark, read_evidence
from devenv.runs.lines import Tail

ROUNDS: Final = 150  # for a seed; each is a fraction of a millisecond
STAMP = b"2026-11-23T16:39:32.500000000Z "
# What breaks parsers: ends of texts, numbers that are none or too large, nesting, markup, bidi, escapes, half UTF-8.
NASTY: Final = (
    b"\0", b"\n", b"\r\n", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\x1b]52;c;eA==\x07", b"\x1b[31m", b"[/foo]",
    b"\xe2\x80\xae",
    b"-1", b"1e999", b"99999999999999999999", b"NaN", b"null", b"true", b'""', b"{}", b"[]", b"{", b"[" * 300,
    b'{"a":' * 300,
    b"&a [*a]", b"!!python/object:os.system x", b"'''", b'"', b":", b"ffffffffffffffff\r\n",
    b"\x01\0\0\0\xff\xff\xff\xff",
)  # fmt: skip


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Change some places: bytes flipped, parts taken out, doubled or moved, something nasty put in."""
    for _ in range(chance.choice((1, 1, 2, 5))):
        begin = chance.randrange(len(data) + 1)
        end = min(len(data), begin + chance.choice((0, 1, 1, 4, 20)))
        put = chance.choice((b"", chance.choice(NASTY), chance.randbytes(end - begin), data[begin:end] * 2))
        data = data[:begin] + put + data[end:]
    return data


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
    (recording, lambda _: b'{"t": 1.0, "at": 2.0, "type": "phase", "name": "steady"}\n' * 3),
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("parser", "made"), PARSERS, ids=[parser.__name__ for parser, _ in PARSERS])
def test_damaged_input_is_a_value_or_an_error_with_a_sentence(
    parser: Parser, made: Callable[[Path], bytes], seed: int, tmp_path: Path
) -> None:
    whole, chance = made(tmp_path), random.Random(seed)
    for _ in range(ROUNDS):
        data = damaged(whole, chance)
        said = "a value"
        try:
            parser(data, tmp_path)
        except (DevenvError, FramingError) as error:
            said = str(error).replace("\n", " ")
        except Exception as error:
            raise AssertionError(f"seed {seed}: {data!r}") from error
        assert said, f"seed {seed}: {data!r}"
        assert harmless(said), f"seed {seed}: {data!r}: {said!r}"


NESTED = 100_000
BOMBS = {
    "brackets": b"[" * NESTED + b"]" * NESTED + b"\n",
    "objects": b'{"a":' * NESTED + b"1" + b"}" * NESTED + b"\n",
    "ten thousand keys": b"{" + b", ".join(b'"key%d": %d' % (n, n) for n in range(10_000)) + b"}\n",
    "ten thousand lines of keys": b"".join(b"key%d = %d\n" % (n, n) for n in range(10_000)),
    "a line of a megabyte": b"x" * 1_000_000 + b"\n",
    "a number of a hundred thousand digits": b'{"time": ' + b"9" * 100_000 + b"}\n",
    "a YAML bomb": b"a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 10)) for n in range(97, 110))
    + b"clusters: *n\nusers: *n\ncontexts: *n\n",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("parser", [parser for parser, _ in PARSERS], ids=lambda parser: parser.__name__)
def test_what_is_made_to_burst_is_a_value_or_an_error_in_bounded_memory(
    parser: Parser, bomb: bytes, tmp_path: Path
) -> None:
    tracemalloc.start()
    try:
        with suppress(DevenvError, FramingError):
            parser(bomb, tmp_path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 12 * len(bomb) + 25_000_000  # 3.14 takes a tenth more than 3.11


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    for parser, made in PARSERS:
        parser(made(tmp_path), tmp_path)
