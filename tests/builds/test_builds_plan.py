"""The graph, and the plan: what is built, why, and what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sandbox import Sandbox

from devenv.builds.graph import Edge, shared_folders
from devenv.builds.plan import labels_for
from devenv.builds.record import MOST, Change, forget_oldest, later_key, read_record, write_later_key, write_record
from devenv.core.errors import ProjectError


@pytest.fixture
def family(sandbox: Sandbox) -> Sandbox:
    """Three services on each other: `app` on `web` by its image's name, `tool` on `app` as a named context."""
    sandbox.service("app", "FROM shop-web AS x\nFROM x\n")
    sandbox.service("tool", "FROM lib\n", additional_contexts={"lib": "service:app"})
    sandbox.services["tool"]["depends_on"] = {"web": {}, "db": {}}
    sandbox.services["db"] = {"image": "db:1"}
    return sandbox


def test_edges_are_facts(family: Sandbox) -> None:
    assert family.graph().edges == (
        Edge("app", "web", "image", "shop-web"),
        Edge("tool", "app", "context", "lib"),
        Edge("tool", "web", "depends_on"),
    )
    assert family.graph().order() == ("web", "app", "tool")
    assert family.graph().with_bases(["app"]) == {"app", "web"}
    assert family.graph().with_dependents(["app"]) == {"app", "tool"}


@pytest.mark.parametrize(
    "dockerfile",
    ["FROM base:1\nCOPY --from=shop-web:latest / /", "FROM base:1\nRUN --mount=from=docker.io/library/shop-web x"],
)
def test_an_image_that_is_only_copied_from_is_an_edge_too(family: Sandbox, dockerfile: str) -> None:
    family.write("app/Dockerfile", dockerfile)
    assert family.graph().bases("app") == ("web",)


def test_a_name_that_a_named_context_stands_for_is_no_image(family: Sandbox) -> None:
    family.services["app"]["build"]["additional_contexts"] = {"shop-web": str(family.folder / "web")}
    assert family.graph().bases("app") == ()


def test_an_image_as_a_named_context_and_a_tag_lead_to_their_service(family: Sandbox) -> None:
    family.services["web"]["build"]["tags"] = ["mine/web:7"]
    family.write("app/Dockerfile", "FROM lib\n")
    family.services["app"]["build"]["additional_contexts"] = {"lib": "docker-image://mine/web:7"}
    assert family.graph().bases("app") == ("web",)


def test_a_circle_names_its_services(family: Sandbox) -> None:
    family.write("web/Dockerfile", "FROM shop-tool\n")
    with pytest.raises(ProjectError) as caught:
        family.plan("web")
    assert caught.value.exit_code == 5
    circle = caught.value.message.partition(": ")[2].split(" -> ")
    assert circle[0] == circle[-1]
    assert set(circle) == {"web", "app", "tool"}
    assert "tool's additional_contexts" in caught.value.hint
    assert "web's FROM or COPY --from" in caught.value.hint


def test_depends_on_makes_no_circle_and_no_change(family: Sandbox) -> None:
    family.services["web"]["depends_on"] = {"tool": {}}
    assert family.graph().order() == ("web", "app", "tool")


def test_a_folder_of_several_services_is_shared() -> None:
    assert shared_folders({"a": ["/x", "/y"], "b": ["/y"], "c": ["/z", "/z"]}) == {"/y": ("a", "b")}


def test_what_was_built_is_not_built_again(family: Sandbox) -> None:
    assert family.build() == ["web", "app", "tool"]
    assert family.build() == []
    plan = family.plan()
    assert [step.service for step in plan.current] == ["web", "app", "tool"]
    assert plan.seconds_saved == 3.0


def test_a_change_builds_what_is_made_from_it_and_nothing_else(family: Sandbox) -> None:
    family.build()
    family.write("app/new")
    plan = family.plan()
    assert [(step.service, step.is_current) for step in plan.steps] == [("web", True), ("app", False), ("tool", False)]
    assert plan.step("app").why == ("file new is new",)
    assert plan.step("tool").why == ("it is made from app, which is built", "service app changed")
    assert family.build("web") == []
    assert family.build("tool") == ["app", "tool"], "what a service is made from comes with it"


def test_an_image_must_be_there_under_each_of_its_names(sandbox: Sandbox) -> None:
    sandbox.services["web"]["build"]["tags"] = ["web:1", "web:2"]
    assert sandbox.build() == ["web"]
    del sandbox.images["web:2"]
    assert sandbox.plan().step("web").why == ("there is no image web:2",)
    assert sandbox.build() == ["web"]
    sandbox.have("web:1", labels_for("web", "0" * 64))
    assert sandbox.plan().step("web").why == ("its image was built from something else",)
    del sandbox.images["shop-web:latest"]
    assert sandbox.plan().step("web").why == ("there is no image shop-web:latest",)


def test_an_image_that_somebody_else_built_does_not_count(sandbox: Sandbox) -> None:
    sandbox.have("shop-web:latest")
    assert sandbox.plan().step("web").why == ("its image was not built by devenv",)
    sandbox.have("shop-web:latest", labels_for("web", "../../../etc/passwd"))
    assert sandbox.plan().step("web").why == ("its image was built from something else",)


def test_a_key_that_an_image_inherited_is_not_its_own(family: Sandbox) -> None:
    family.build()
    family.have("shop-app:latest", family.images["shop-web:latest"].labels)  # FROM shop-web, built by Compose alone
    assert family.plan().step("app").why == ("its image was not built by devenv",)


def test_a_base_built_anew_from_the_same_content_is_noticed(family: Sandbox) -> None:
    family.build()
    family.have("shop-web:latest", labels_for("web", family.key("web")))  # as with --no-cache
    plan = family.plan()
    assert [step.service for step in plan.to_build] == ["app", "tool"]
    assert plan.step("app").why == ("web, which it is made from, was built anew",)


def test_what_is_asked_for_is_built_whatever_its_key(family: Sandbox) -> None:
    family.build()
    plan = family.plan("app", app="asked for with --no-cache")
    assert [(step.service, step.why) for step in plan.to_build] == [("app", ("asked for with --no-cache",))]


def test_why_names_each_kind_of_change_with_both_hashes(sandbox: Sandbox) -> None:
    sandbox.write("web/mode.sh").chmod(0o644)
    (sandbox.folder / "web" / "link").symlink_to("main.py")
    sandbox.write("web/gone.py")
    sandbox.write("web/a.tmp")
    sandbox.write("lib/x")
    build = sandbox.services["web"]["build"]
    build |= {"additional_contexts": {"lib": str(sandbox.folder / "lib")}, "target": "one"}
    sandbox.build()
    sandbox.write("web/main.py", "edited")
    sandbox.write("web/new.py")
    sandbox.write("lib/x", "edited")
    sandbox.write("web/.dockerignore", "*.log\n*.tmp\n")
    sandbox.write("web/Dockerfile", "FROM base:2\n")
    (sandbox.folder / "web" / "mode.sh").chmod(0o755)
    (sandbox.folder / "web" / "gone.py").unlink()
    (sandbox.folder / "web" / "link").unlink()
    (sandbox.folder / "web" / "link").symlink_to("new.py")
    build |= {"args": {"VERSION": "2"}, "target": "two", "labels": {"a": "b"}}
    changes = sandbox.plan().step("web").changes
    found = {(change.kind, change.name): (change.before, change.after) for change in changes}
    assert changes[0] == Change("file", ".dockerignore", *found["file", ".dockerignore"])
    assert found["file", "mode.sh"] == ("mode 0644", "mode 0755")
    assert found["file", "link"] == ("main.py", "new.py")
    assert found["target", "one"] == ("set", "")
    assert found["target", "two"] == ("", "set")
    assert found["option", "labels"] == ("", '{"a":"b"}')
    assert found["ignore rule", "*.tmp"] == ("", "set")
    assert found["base image", "base:1"] == (sandbox.images["base:1"].id, "")
    assert found["file", "gone.py"][1] == found["file", "new.py"][0] == found["file", "a.tmp"][1] == ""
    for kind, name in (
        ("file", "main.py"),
        ("file", "lib:x"),
        ("argument", "VERSION"),
        ("Dockerfile", "Dockerfile"),
        ("ignore file", ".dockerignore"),
    ):
        before, after = found.pop((kind, name))
        assert len(before) == len(after) == 64
        assert before != after
    assert ("base image", "base:2") in found, "an engine that does not have it gives it no digest"


@pytest.mark.parametrize("kind", ["records", "trees"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff"])
def test_a_broken_record_takes_the_reason_away_and_nothing_else(sandbox: Sandbox, kind: str, content: bytes) -> None:
    sandbox.build()
    for file in (sandbox.store.folder / kind).iterdir():
        file.write_bytes(content)
    assert sandbox.build() == []
    sandbox.write("web/main.py", "edited")
    (why,) = sandbox.plan().step("web").why
    assert why == ("its image was built from something else" if kind == "records" else "context . changed")
    assert sandbox.build() == ["web"]


def test_a_record_is_only_believed_under_its_own_key(sandbox: Sandbox) -> None:
    sandbox.build()
    key = sandbox.key("web")
    file = sandbox.store.file("records", key)
    file.rename(file.with_name(f"{'0' * 64}.json"))
    assert read_record(sandbox.store, "0" * 64) is None
    assert read_record(sandbox.store, key) is None


def test_the_oldest_records_are_forgotten(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devenv.builds.record.MOST", 3)
    assert MOST > 50
    for number in range(5):
        sandbox.write("web/main.py", str(number))
        reading = sandbox.read("web")
        write_record(sandbox.store, "web", reading, at=1.0, seconds=1.0, bases={})
        os.utime(sandbox.store.file("records", reading.key), (number, number))
    draft = sandbox.store.file("records", reading.key).with_suffix(".json.1")
    draft.write_text("cut off")
    os.utime(draft, (1, 1))
    forget_oldest(sandbox.store)
    for kind in ("records", "trees"):
        assert len(list((sandbox.store.folder / kind).iterdir())) == 3
    assert read_record(sandbox.store, reading.key) is not None


def test_a_service_whose_files_cannot_be_read_is_left_to_buildkit(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.build()
    real = Path.readlink
    (sandbox.folder / "web" / "secret").symlink_to("x")

    def refuse(path: Path) -> Path:
        if path.name == "secret":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "readlink", refuse)
    assert "secret cannot be read" in sandbox.plan().step("web").why


def test_an_image_that_a_later_build_made_again_is_up_to_date_under_both_keys(sandbox: Sandbox) -> None:
    sandbox.build()
    image = sandbox.images["shop-web:latest"]
    sandbox.write("web/README")
    write_later_key(sandbox.store, image.id, sandbox.key("web"))
    assert sandbox.build() == []
    (sandbox.folder / "web" / "README").unlink()
    assert sandbox.build() == []
    (kept,) = (sandbox.store.folder / "images").iterdir()
    for content in (b"", b"[]", b'"../x"', b"\xff"):
        kept.write_bytes(content)
        assert later_key(sandbox.store, image.id) == ""
        assert sandbox.build() == []
