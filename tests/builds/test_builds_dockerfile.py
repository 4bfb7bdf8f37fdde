"""Which images a Dockerfile is made from."""

from __future__ import annotations

import pytest

from devenv.builds.dockerfile import image_references


@pytest.mark.parametrize(
    ("text", "args", "found"),
    [
        ("FROM alpine:3", {}, ("alpine:3",)),
        ("from --platform=$BUILDPLATFORM alpine as a\nFROM a\nFROM scratch", {}, ()),
        ("FROM alpine AS a\nFROM a", {}, ("alpine",)),
        ("FROM alpine AS Base\nFROM debian\nCOPY --from=base /x /x", {}, ("debian", "alpine")),
        ("FROM alpine\nFROM debian\nCOPY --chown=1 --from=0 /x /x", {}, ("debian", "alpine")),
        ("FROM debian\nCOPY --from=busybox:1 /x /x", {}, ("debian", "busybox:1")),
        (
            "FROM debian\nRUN --mount=type=bind,from=tools,target=/t --mount=type=cache,target=/c make",
            {},
            ("debian", "tools"),
        ),
        ("ARG V=3\nFROM alpine:${V}", {}, ("alpine:3",)),
        ("ARG V=3\nFROM alpine:$V", {"V": "4"}, ("alpine:4",)),
        ("ARG V\nFROM alpine:${V:-edge}", {}, ("alpine:edge",)),
        ("ARG V\nFROM alpine:${V:-edge}", {"V": ""}, ("alpine:edge",)),
        ("ARG V\nFROM alpine${V:+:}$V", {"V": "9"}, ("alpine:9",)),
        ("ARG A=alpine B=${A}:3\nFROM $B", {}, ("alpine:3",)),
        ('ARG A="alpine:3"\nFROM "$A"', {}, ("alpine:3",)),
        ("FROM alpine:$UNKNOWN", {}, ("alpine:$UNKNOWN",)),
        ("FROM alpine\nARG V=3\nFROM debian:${V:-1}", {}, ("debian:1",)),  # an ARG after FROM is the stage's own
        ("FROM \\\n# a comment\n\n  alpine:3", {}, ("alpine:3",)),
        ("# escape=`\nFROM `\nalpine:3", {}, ("alpine:3",)),
        ("# a comment\n# escape=`\nFROM alpine:3\nRUN a \\\nFROM b", {}, ("alpine:3",)),
        ("FROM alpine\nRUN <<EOF\nFROM nothing\nEOF\nRUN <<-'A' <<B\nFROM x\n\tA\nFROM y\nB\n", {}, ("alpine",)),
        ("FROM alpine\nCOPY <<EOF /x\nFROM nothing\nEOF\n", {}, ("alpine",)),
        ("\ufeffFROM alpine", {}, ("alpine",)),
        ("", {}, ()),
        ("FROM\nNONSENSE <<", {}, ()),
    ],
)
def test_references(text: str, args: dict[str, str], found: tuple[str, ...]) -> None:
    assert image_references(text, args) == found


def test_only_what_the_target_needs_counts() -> None:
    text = "FROM a AS one\nFROM b AS two\nFROM c AS three\nCOPY --from=one / /\nFROM d"
    assert image_references(text, {}, "two") == ("b",)
    assert image_references(text, {}, "Three") == ("c", "a")
    assert image_references(text, {}, "1") == ("b",)
    assert image_references(text, {}) == ("d",)
    assert image_references(text, {}, "no-such-target") == ("d",)  # BuildKit refuses it
