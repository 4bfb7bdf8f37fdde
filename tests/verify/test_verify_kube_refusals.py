"""Smoke tests on Kubernetes that cannot begin: the reason, the exit code, and nothing changed."""

from __future__ import annotations

from pathlib import Path

from kube_project import BOTH, Project, api, project

from fakes.api_server import ApiServer

__all__ = ["api", "project"]  # fixtures: pytest finds them here


def test_a_target_that_is_none_is_an_error(project: Project) -> None:
    project.tests("@pytest.mark.targets('podman')\ndef test_it():\n    pass\n")
    done = project.pytest("--target", "kubernetes")
    assert done.returncode == 4
    assert "podman" in done.stderr + done.stdout


def test_no_cluster_is_an_error_with_its_exit_code_and_not_a_skip(project: Project) -> None:
    project.tests(BOTH + "def test_it():\n    pass\n")
    project.api.stop()
    done = project.pytest("--target", "all")
    assert done.returncode == 13, done.stdout + done.stderr
    assert "--target all" in done.stdout
    assert "passed" not in done.stdout
    assert "skipped" not in done.stdout
    assert project.pytest("--target", "compose").returncode == 0, "the cluster is nobody's business there"
    verify = project.devenv("verify", "--target", "kubernetes")
    assert verify.returncode == 13, verify.stdout + verify.stderr


def test_a_context_that_is_not_allowed_is_refused(tmp_path: Path, api: ApiServer) -> None:
    project = Project(tmp_path, api, "production")
    project.tests(BOTH + "def test_it(isolated_stack):\n    pass\n")
    done = project.pytest("--target", "kubernetes", "--running")
    assert done.returncode == 10, done.stdout + done.stderr
    assert "production" in done.stdout
    assert "allow = " in done.stdout, "the way out is not told"
    assert project.namespaces() == set()
    assert [method for method in api.requests if "POST" in method or "PATCH" in method] == []
    verify = project.devenv("verify", "--target", "kubernetes")
    assert verify.returncode == 10, verify.stdout + verify.stderr


def test_a_kubeconfig_without_the_context_is_an_error_of_usage(project: Project) -> None:
    project.tests(BOTH + "def test_it():\n    pass\n")
    project.environ["DEVENV_CONTEXT"] = "minikub"
    done = project.pytest("--target", "kubernetes")
    assert done.returncode == 4
    assert "minikube" in done.stderr + done.stdout, "the near name is not told"
