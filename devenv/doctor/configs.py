"""Can the files be used from which docker and kubectl read where their engine and their cluster are?"""

from __future__ import annotations

from devenv.backends.docker.endpoint import config_problem
from devenv.doctor.context import Context
from devenv.doctor.report import Finding, Level

_NAME = "kubeconfig"


def check_docker(context: Context) -> Finding:
    """Tell what is wrong with the docker CLI's config.json; a warning, since docker goes on without it."""
    if problem := config_problem(context.environ):
        hint = "Correct it, or point DOCKER_CONFIG elsewhere: until then docker's defaults hold."
        return Finding("docker-config", Level.WARNING, problem, hint)
    return Finding("docker-config", Level.OK, "the docker CLI's config.json can be read, or is not there")


def check_kubernetes(context: Context) -> Finding:
    """Tell what is wrong with the kubeconfig; a warning at most, since Compose needs no cluster."""
    from devenv.backends.kube.errors import BadKubeconfig
    from devenv.backends.kube.kubeconfig import contexts  # deferred: it reads YAML

    try:
        known = contexts(context.environ)
    except BadKubeconfig as error:
        return Finding(_NAME, Level.WARNING, error.message, error.hint)
    if not known.all:
        return Finding(_NAME, Level.OK, "no cluster is configured")
    broken = [f"{info.name}: {info.problem}" for info in known.all if info.problem]
    if broken:
        more = f" (and {len(broken) - 1} more: devenv kube contexts)" if len(broken) > 1 else ""
        return Finding(_NAME, Level.WARNING, f"a context cannot be used: {broken[0]}{more}", "Correct the kubeconfig.")
    if known.current and known.find(known.current) is None:
        what = f"the current context does not exist: {known.current}"
        return Finding(_NAME, Level.WARNING, what, "Choose one: kubectl config use-context NAME")
    many = f"{len(known.all)} contexts" if len(known.all) > 1 else "1 context"
    return Finding(_NAME, Level.OK, f"{many}, {known.current or 'none'} is current")
