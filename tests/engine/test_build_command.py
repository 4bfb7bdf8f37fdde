"""`devenv build` on a real engine: nothing is built twice, and everything says why."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from program import PROJECTS, Program, program

from devenv.backends.docker.endpoint import Endpoint
from devenv.builds.plan import LABEL
from fakes.api_server import ApiServer, node_object

pytestmark = pytest.mark.engine
PROJECT = "com.docker.compose.project"
ALL = ("base", "web", "tool", "worker")


@pytest.fixture
def monorepo(engine: Endpoint, base_image: str, tmp_path: Path) -> Iterator[Program]:
    """A copy of the project that a test may edit."""
    folder = tmp_path / "monorepo"
    shutil.copytree(PROJECTS / "monorepo", folder)
    with program(str(folder), tmp_path / "state", base_image, TOKEN="secret-of-the-test") as made:
        yield made


def build(project: Program, *arguments: str, code: int = 0, **variables: str) -> dict[str, Any]:
    """Run `devenv build --json` and return its object."""
    done = project.run("build", "--json", *arguments, **variables)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def actions(report: dict[str, Any]) -> dict[str, str]:
    return {step["service"]: step["action"] for step in report["steps"]}


def why(report: dict[str, Any], service: str) -> list[str]:
    (found,) = [step["why"] for step in report["steps"] if step["service"] == service]
    return list(found)


def image(project: Program, service: str) -> tuple[str, str]:
    """Return the id of a service's image, and the key on it."""
    form = f'{{{{.Id}}}} {{{{index .Config.Labels "{LABEL}"}}}}'
    command = ["docker", "image", "inspect", "--format", form, f"{project.name}-{service}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, _, key = done.stdout.strip().partition(" ")
    return found, key


def images(project: Program) -> dict[str, tuple[str, str]]:
    return {service: image(project, service) for service in ALL}


def content(project: Program, service: str, path: str) -> str:
    command = ["docker", "run", "--rm", "--network=none", f"{project.name}-{service}", "cat", path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_nothing_is_built_twice_and_a_change_builds_what_is_made_from_it(monorepo: Program) -> None:
    planned = build(monorepo, "--dry-run")
    assert actions(planned) == dict.fromkeys(ALL, "build")
    assert "there is no image" in why(planned, "base")[0]
    assert not monorepo.state.exists(), "a dry run asks for no change"
    built = build(monorepo)
    assert actions(built) == dict.fromkeys(ALL, "built")
    first = images(monorepo)
    assert {step["service"]: step["key"] for step in built["steps"]} == {name: key for name, (_, key) in first.items()}
    again = build(monorepo)
    assert actions(again) == dict.fromkeys(ALL, "up to date")
    assert again["seconds_saved"] > 0
    assert images(monorepo) == first

    (monorepo.folder / "inline" / "tool.txt").write_text("edited\n")
    assert actions(build(monorepo)) == {
        "base": "up to date",
        "web": "up to date",
        "worker": "up to date",
        "tool": "built",
    }
    assert content(monorepo, "tool", "/tool/tool.txt") == "edited\n"
    (monorepo.folder / "shared" / "lib.txt").write_text("edited\n")
    assert actions(build(monorepo)) == {"base": "up to date", "web": "built", "worker": "built", "tool": "built"}
    (monorepo.folder / "base" / "version").write_text("2\n")
    assert actions(build(monorepo)) == dict.fromkeys(ALL, "built")
    for service in ALL:
        assert content(monorepo, service, "/version") == "2\n", "each was made from the base that was built before it"
    (monorepo.folder / "app" / "debug.log").write_text("ignored\n")
    assert actions(build(monorepo)) == dict.fromkeys(ALL, "up to date")
    audited = [(record["event"], record.get("result")) for record in monorepo.audit()]
    assert audited == [("allowed", None), ("finished", "done")] * 4, "what had nothing to do changed nothing"


def test_an_image_that_went_away_or_that_compose_built_is_built_again(monorepo: Program) -> None:
    build(monorepo)
    monorepo.compose("build", "worker")
    assert why(build(monorepo, "--dry-run"), "worker") == ["its image was not built by devenv"]
    assert [name for name, action in actions(build(monorepo)).items() if action == "built"] == ["worker"]
    subprocess.run(["docker", "rmi", f"{monorepo.name}-tool"], capture_output=True, check=True)
    assert "there is no image" in why(build(monorepo, "tool"), "tool")[0]
    assert actions(build(monorepo)) == dict.fromkeys(ALL, "up to date")
    forced = build(monorepo, "worker", "--no-cache")
    assert actions(forced) == {"base": "up to date", "worker": "built"}
    assert why(forced, "worker") == ["asked for with --no-cache"]


def test_why_names_what_changed_with_both_hashes(monorepo: Program) -> None:
    build(monorepo)
    _, key = image(monorepo, "web")
    assert (
        monorepo.run("build", "--why", "web").stdout
        == f"web is up to date: {monorepo.name}-web:latest has the key {key}\n"
    )
    (monorepo.folder / "app" / "web.txt").write_text("edited\n")
    (monorepo.folder / "app" / ".dockerignore").write_text("*.log\n*.tmp\n")
    told = monorepo.run("build", "--why", "web").stdout
    assert f"  key {key} -> " in told
    rows = [line.split() for line in told.splitlines()]
    (edited,) = [row for row in rows if row[:2] == ["file", "web.txt"]]
    assert len(edited) == 4
    assert edited[2] != edited[3]
    assert ["ignore", "rule", "*.tmp", "-", "set"] in rows
    assert "service web changed" in monorepo.run("build", "--why", "tool").stdout
    assert "tool has to be built" in monorepo.run("build", "--why", "tool", TOKEN="another").stdout
    assert build(monorepo, "base", TOKEN="another")["steps"][0]["action"] == "up to date"


def test_dry_run_and_why_name_a_change_in_each_kind_of_project(monorepo: Program) -> None:
    compose = (monorepo.folder / "compose.yaml").read_text()
    other = compose.replace("id=token", "id=other").replace("secrets: [token]", "secrets: [other]")
    build(monorepo)

    def changed(path: str, text: str, service: str, *built: str) -> list[list[str]]:
        """Write a file; return the rows of `--why` of a service, after the plan said that these would be built."""
        (monorepo.folder / path).write_text(text)
        planned = actions(build(monorepo, "--dry-run"))
        assert {name for name, action in planned.items() if action == "build"} == set(built)
        told = monorepo.run("build", "--why", service).stdout
        build(monorepo)
        return [line.split() for line in told.partition("BEFORE")[2].splitlines()[1:]]

    # Several services from one context, with targets: a file, then the target itself.
    ((*named, before, now),) = changed("app/worker.txt", "edited\n", "worker", "web", "worker", "tool")
    assert (named, before != now) == (["file", "worker.txt"], True)
    other_target = compose.replace("target: worker", "target: web")
    rows = changed("compose.yaml", other_target, "worker", "worker")
    assert rows == [["target", "web", "-", "set"], ["target", "worker", "set", "-"]]
    changed("compose.yaml", compose, "worker", "worker")
    # A base image that another service builds.
    ((*named, before, now),) = changed("base/version", "2\n", "worker", *ALL)
    assert (named, before != now) == (["service", "base"], True)
    # A Dockerfile in the Compose file, with a secret: its id counts, what is in it does not.
    other = other.replace("/secrets/token", "/secrets/other").replace("  token: {env", "  other: {env")
    inline, option = changed("compose.yaml", other, "tool", "tool")
    assert inline[:2] == ["Dockerfile", "dockerfile_inline"]
    assert option == ["option", "secrets", '[{"source":"token"}]', '[{"source":"other"}]']
    assert "secret-of-the-test" not in monorepo.run("build", "--why", "tool", TOKEN="another").stdout


def test_the_graph_in_three_forms(monorepo: Program) -> None:
    text = monorepo.run("build", "--graph", "text").stdout
    assert f"web\n  made from base (as {monorepo.name}-base)\n" in text
    assert "tool\n  made from web (its context web)\n" in text
    assert "worker\n  made from base" in text
    assert "  runs with web\n" in text
    assert f"{monorepo.folder / 'shared'}: in web, worker" in text
    mermaid = monorepo.run("build", "--graph", "mermaid").stdout
    assert mermaid.startswith('flowchart BT\n  s0["base"]\n')
    assert "-->|image|" in mermaid
    data = json.loads(monorepo.run("build", "--graph", "json", DOCKER_HOST="unix:///nowhere").stdout)
    assert data["services"] == sorted(ALL)
    assert {(edge["service"], edge["needs"], edge["kind"]) for edge in data["edges"]} == {
        ("web", "base", "image"),
        ("worker", "base", "image"),
        ("tool", "web", "context"),
        ("worker", "web", "depends_on"),
    }
    assert data["shared_folders"] == {str(monorepo.folder / name): ["web", "worker"] for name in ("app", "shared")}


def git(project: Program, *arguments: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *arguments], cwd=project.folder, capture_output=True, check=True)


def test_only_what_a_change_in_git_touches(monorepo: Program) -> None:
    told = monorepo.run("build", "--affected")
    assert (told.returncode, "Git repository" in told.stderr) == (2, True)
    git(monorepo, "init", "--initial-branch=main")
    git(monorepo, "add", ".")
    git(monorepo, "commit", "--message=first")
    git(monorepo, "switch", "--create", "topic")
    assert actions(build(monorepo, "--affected", "--dry-run")) == {}
    assert "tool has to be built" in monorepo.run("build", "--affected", "--why", "tool").stdout
    (monorepo.folder / "app" / "ignored.log").write_text("x")
    (monorepo.folder / "inline" / "new file.txt").write_text("x")
    report = build(monorepo, "--affected", "--dry-run")
    assert set(actions(report)) == {"tool", "web", "base"}, "with all that it is made from"
    git(monorepo, "add", ".")
    git(monorepo, "commit", "--message=second")
    dockerfile = monorepo.folder / "app" / "Dockerfile"
    dockerfile.write_text("# edited\n" + dockerfile.read_text())
    git(monorepo, "commit", "--all", "--message=third")
    assert set(actions(build(monorepo, "--since", "HEAD~1", "--dry-run"))) == {"web", "worker", "tool", "base"}
    told = monorepo.run("build", "--affected", "--dry-run", "worker")
    assert f"worker: {dockerfile} changed since" in told.stderr
    assert "tool" not in told.stdout.partition("SERVICE")[2]
    for revision in ("nowhere", "--output=/tmp/x"):
        told = monorepo.run("build", f"--since={revision}")
        assert (told.returncode, "Git has no revision" in told.stderr) == (2, True)


def test_what_is_edited_while_it_is_built_is_built_again_under_its_own_key(monorepo: Program) -> None:
    folder = monorepo.folder / "inline"
    compose = monorepo.folder / "compose.yaml"
    compose.write_text(compose.read_text().replace("COPY . /tool", "COPY . /tool\n        RUN sleep 3"))
    build(monorepo, "web")
    process = monorepo.start("build", "tool")
    assert process.stderr is not None
    assert any("RUN sleep 3" in line for line in process.stderr)
    (folder / "tool.txt").write_text("edited meanwhile\n")
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert content(monorepo, "tool", "/tool/tool.txt") == "edited meanwhile\n"
    assert set(actions(build(monorepo)).values()) == {"up to date", "built"}
    assert actions(build(monorepo, "tool"))["tool"] == "up to date"


def test_bad_input_is_told_with_its_exit_code(monorepo: Program) -> None:
    compose = (monorepo.folder / "compose.yaml").read_text()

    def failed(code: int, *arguments: str, text: str = compose, **variables: str) -> str:
        (monorepo.folder / "compose.yaml").write_text(text)
        done = monorepo.run("build", *arguments, **variables)
        assert done.returncode == code, done.stderr
        assert "hint:" in done.stderr
        return done.stderr

    assert "Did you mean worker?" in failed(2, "worke")
    assert "Did you mean worker?" in failed(2, "--why", "worke")
    assert "engine" in failed(3, "--dry-run", DOCKER_HOST="unix:///nowhere")
    assert "not there" in failed(5, text=compose.replace("context: base", "context: bass"))
    circle = compose.replace("context: base", "context: base\n      additional_contexts: {x: 'service:tool'}")
    assert "base -> " in failed(5, "--graph", "text", text=circle)
    assert "read-only" in failed(10, "--read-only", text=compose)
    assert monorepo.run("build", "--dry-run", "--read-only").returncode == 0
    plugin = monorepo.folder.parent / "docker" / "cli-plugins" / "docker-buildx"  # before that of the machine
    plugin.parent.mkdir(parents=True)
    plugin.touch(0o755)
    assert "Install it: https://github.com/docker/buildx" in failed(9, "base", DOCKER_CONFIG=str(plugin.parents[1]))
    summary = monorepo.folder / "base" / "version" / "summary.json"
    assert "cannot be written" in failed(1, "base", "--summarize", str(summary))
    assert actions(build(monorepo, "base")) == {"base": "up to date"}, "the build itself was done"


def test_a_failure_leaves_what_was_built_before_it(monorepo: Program) -> None:
    dockerfile = monorepo.folder / "app" / "Dockerfile"
    whole = dockerfile.read_text()
    dockerfile.write_text(whole.replace("COPY worker.txt /app/", "RUN echo it breaks; exit 3"))
    done = monorepo.run("build")
    assert done.returncode == 1
    assert "image of service worker could not be built" in done.stderr
    assert "it breaks" in done.stderr
    assert monorepo.audit()[-1]["result"] == "failed"
    dockerfile.write_text(whole)
    assert actions(build(monorepo))["base"] == "up to date"


def test_a_cache_that_cannot_be_written_is_said_and_stops_nothing(monorepo: Program) -> None:
    (monorepo.folder / ".devenv").write_text("a file where the folder should be")
    done = monorepo.run("build", "base")
    assert done.returncode == 0
    assert "cannot be kept" in done.stderr
    assert actions(build(monorepo, "base")) == {"base": "up to date"}


def test_a_run_can_be_kept_and_says_what_it_was_made_from(monorepo: Program) -> None:
    file = monorepo.folder.parent / "run.json"
    assert monorepo.run("build", "base", "--summarize", str(file)).returncode == 0
    kept = json.loads(file.read_text())
    (step,) = kept["steps"]
    assert step["action"] == "built"
    assert step["inputs"]["facts"]["base image"].keys() == {monorepo.image}
    later = build(monorepo, "base")["steps"][0]
    assert (later["key"], later["inputs"]) == (step["key"], step["inputs"])


def test_up_with_build_builds_as_build_does(monorepo: Program) -> None:
    done = monorepo.run("up", "--build", "tool")
    assert done.returncode == 0, done.stderr
    first = image(monorepo, "tool")
    assert len(first[1]) == 64
    assert actions(build(monorepo, "tool")) == dict.fromkeys(("base", "web", "tool"), "up to date")
    again = monorepo.run("up", "--build", "tool")
    assert again.returncode == 0, again.stderr
    assert "Step [" not in again.stderr
    assert image(monorepo, "tool") == first
    (monorepo.folder / "inline" / "tool.txt").write_text("edited\n")
    assert monorepo.run("up", "--build", "tool").returncode == 0
    assert content(monorepo, "tool", "/tool/tool.txt") == "edited\n"


def test_up_starts_no_image_that_was_made_from_something_else(monorepo: Program) -> None:
    def up(*arguments: str) -> str:
        done = monorepo.run("up", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stderr

    up("worker")
    first = image(monorepo, "worker")
    assert len(first[1]) == 64, "the first build has its key too"
    assert actions(build(monorepo, "worker")) == {"base": "up to date", "worker": "up to date"}
    said = up("worker")
    assert "Step [" not in said
    assert image(monorepo, "worker") == first

    monorepo.compose("build", "worker")  # as an earlier devenv, or Compose itself, left it: without a key
    (monorepo.folder / "app" / "worker.txt").write_text("edited\n")
    up("--no-build", "worker")
    assert image(monorepo, "worker")[1] == image(monorepo, "base")[1], "as with Compose; a label is inherited"
    up("worker")
    assert image(monorepo, "worker")[1] not in ("", first[1], image(monorepo, "base")[1])
    assert content(monorepo, "worker", "/app/worker.txt") == "edited\n"
    running = subprocess.run(
        ["docker", "inspect", "--format", "{{.Image}}", f"{monorepo.name}-worker-1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert running.stdout.strip() == image(monorepo, "worker")[0], "the container is of the new image"


def test_up_leaves_to_compose_what_has_no_key(monorepo: Program) -> None:
    assert monorepo.run("up", "worker").returncode == 0
    first = image(monorepo, "worker")
    (monorepo.folder / "app").rename(monorepo.folder / "elsewhere")
    done = monorepo.run("up", "worker")
    assert done.returncode == 0, done.stderr
    assert "the image of worker is left to Compose, its content has no key" in done.stderr
    assert image(monorepo, "worker") == first


def test_what_is_to_be_loaded_is_current_only_where_the_nodes_have_it(monorepo: Program) -> None:
    programs = monorepo.folder.parent / "programs"
    programs.mkdir()
    (programs / "kind").write_text(f'#!/bin/sh\necho "$@" >> {programs}/loaded\n')
    (programs / "kind").chmod(0o755)
    with ApiServer() as api:
        variables = {"KUBECONFIG": str(api.kubeconfig(programs / "kubeconfig", "kind-ci"))}
        variables |= {"PATH": f"{programs}:{os.environ['PATH']}"}
        assert build(monorepo, "base", "--load", **variables)["loaded"] == {"base": True}
        own, short = f"{monorepo.name}-base:latest", image(monorepo, "base")[0].removeprefix("sha256:")[:12]
        content_name = own.replace(":latest", f":devenv-{short}")
        assert (programs / "loaded").read_text() == f"load docker-image {own} {content_name} --name ci\n"
        node = node_object("minikube")
        node["status"]["images"] = [{"names": [f"docker.io/library/{own}", f"docker.io/library/{content_name}"]}]
        api.put(node)
        report = build(monorepo, "base", "--load", **variables)
        assert (actions(report), report["loaded"]) == ({"base": "up to date"}, {"base": False})
        assert len((programs / "loaded").read_text().splitlines()) == 1
        api.kubeconfig(programs / "kubeconfig", "production")
        done = monorepo.run("build", "base", "--load", **variables)
        assert (done.returncode, "cannot be loaded into production" in done.stderr) == (9, True)
    assert monorepo.audit()[-1]["verb"] == "load"


def test_being_interrupted_ends_every_build_and_leaves_what_was_done(monorepo: Program) -> None:
    dockerfile = monorepo.folder / "app" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("COPY web", "RUN sleep 30\nCOPY web"))
    process = monorepo.start("build")
    assert process.stderr is not None
    assert any("RUN sleep 30" in line for line in process.stderr), "the build must have begun"
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=180)
    assert process.returncode == 130
    assert "stopping build" in stderr
    assert monorepo.audit()[-1]["result"] == "interrupted"
    assert psutil.wait_procs(children, timeout=60)[1] == []
    assert actions(build(monorepo, "--dry-run"))["base"] == "up to date"


def test_an_edit_that_is_not_in_the_image_leaves_the_image_as_it_was(monorepo: Program) -> None:
    build(monorepo)
    first = images(monorepo)
    dockerfile = monorepo.folder / "base" / "Dockerfile"
    dockerfile.write_text(f"# a comment\n{dockerfile.read_text()}")
    (monorepo.folder / "app" / "README.md").write_text("no COPY takes it\n")
    assert set(actions(build(monorepo)).values()) == {"built"}
    assert images(monorepo) == first, "containers need not be replaced"
    assert actions(build(monorepo)) == dict.fromkeys(ALL, "up to date")
    dangling = ["docker", "images", "-q", "--filter", "dangling=true", "--filter", f"label={PROJECT}={monorepo.name}"]
    assert subprocess.run(dangling, capture_output=True, text=True, check=True).stdout == ""
    (monorepo.folder / "app" / "README.md").unlink()
    assert why(build(monorepo, "--dry-run"), "web")[0] == "file README.md is gone", "compared with the latest build"
    (monorepo.folder / "app" / "web.txt").write_text("edited\n")
    build(monorepo)
    after = images(monorepo)
    assert after["web"] != first["web"]
    assert (after["base"], after["worker"]) == (first["base"], first["worker"])
