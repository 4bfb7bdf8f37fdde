"""minikube, kind and k3d at the wire: a program of that name on PATH that prints what theirs print."""

from __future__ import annotations

from pathlib import Path

import pytest

from devenv.backends.clusters import read_clusters, read_profiles
from devenv.backends.kube.kubeconfig import ContextInfo, Contexts
from devenv.core.errors import DevenvError, ToolMissing
from tests.kube.recorded_objects import FOLDER

TOOLS = FOLDER / "tools"


class Programs:
    """A folder on PATH; each program answers by the words of its command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)}

    def add(self, name: str, *answers: tuple[str, str, int]) -> None:
        """Answer (pattern of the shell's `case`, text on stdout, exit code)."""
        script = ["#!/bin/sh", f'echo "$*" >> {self.folder}/calls', 'case "$*" in']
        for number, (pattern, text, code) in enumerate(answers):
            (self.folder / f"{name}.{number}").write_text(text)
            script.append(f"{pattern}) cat {self.folder}/{name}.{number}; exit {code};;")
        script += ['*) echo "unknown: $*" >&2; exit 64;;', "esac"]
        path = self.folder / name
        path.write_text("\n".join(script))
        path.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(tmp_path)


def told(name: str) -> str:
    return (TOOLS / f"{name}.json").read_text("utf-8")


def test_profiles_tell_state_driver_addons_and_what_nodes_have(programs: Programs) -> None:
    programs.add("minikube", ("'profile list --output json'", told("profile-list"), 0))
    first, second, broken = read_profiles(programs.environ)
    assert (first.name, first.status, first.driver, first.runtime) == ("minikube", "OK", "docker", "containerd")
    assert (first.cpus, first.memory, first.disk) == (2, 3900 << 20, 20_000 << 20)
    assert first.addons == ("default-storageclass", "metrics-server", "storage-provisioner")
    assert first.nodes == ("minikube",)
    assert first.active
    assert (second.status, second.nodes) == ("Stopped", ("two", "m02"))
    assert (broken.name, broken.status, broken.valid) == ("broken", "Invalid", False)


def test_a_light_list_looks_into_no_machine(programs: Programs) -> None:
    programs.add("minikube", ("*--light", told("profile-list"), 0))
    read_profiles(programs.environ, light=True)
    assert programs.calls == ["profile list --output json --light"]


def test_what_is_no_json_is_an_error_in_minikubes_words(programs: Programs) -> None:
    programs.add("minikube")
    with pytest.raises(DevenvError, match="unknown: profile list"):
        read_profiles(programs.environ)


def test_without_the_program_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolMissing):
        read_profiles({"PATH": str(tmp_path)})


def test_clusters_of_all_tools_and_their_contexts(programs: Programs) -> None:
    programs.add("minikube", ("profile*", told("profile-list"), 0))
    programs.add("kind", ("'get clusters'", "ci\n", 0), ("'get nodes --name ci'", "ci-control-plane\nci-worker\n", 0))
    programs.add("k3d", ("'cluster list --output json'", told("k3d-list"), 0))
    known = Contexts((ContextInfo("minikube"), ContextInfo("kind-ci"), ContextInfo("prod")), "prod")
    found, remarks = read_clusters(known, programs.environ)
    assert remarks == ()
    by_name = {(cluster.tool, cluster.name): cluster for cluster in found}
    assert by_name["minikube", "minikube"].status_text == "OK, docker, 2 CPUs, 3.8 GiB"
    assert by_name["kind", "ci"].context == "kind-ci"
    assert [node.name for node in by_name["kind", "ci"].nodes] == ["ci-control-plane", "ci-worker"]
    k3d = by_name["k3d", "dev"]
    assert (k3d.context, k3d.state) == ("", "1 of 2 servers run"), "the kubeconfig has no context for it"
    assert [(node.name, node.state) for node in k3d.nodes] == [
        ("k3d-dev-server-0", "running"),
        ("k3d-dev-server-1", "exited"),
    ]


def test_a_tool_that_fails_is_told_and_the_others_are_read(programs: Programs) -> None:
    programs.add("minikube", ("profile*", told("profile-list"), 0))
    programs.add("kind")
    found, remarks = read_clusters(Contexts(), programs.environ)
    assert {cluster.tool for cluster in found} == {"minikube"}
    assert remarks == ("kind get clusters failed: unknown: get clusters",)


def test_where_no_tool_is_there_nothing_is_said(tmp_path: Path) -> None:
    assert read_clusters(Contexts(), {"PATH": str(tmp_path)}) == ((), ())
