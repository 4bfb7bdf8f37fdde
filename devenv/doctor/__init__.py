"""What is wrong with this machine or project, and how to mend it: the table of all checks."""

from __future__ import annotations

from devenv.doctor import cluster, machine
from devenv.doctor.check import Check

CHECKS: tuple[Check, ...] = (
    Check("python", "the Python that runs devenv, with its packages", machine.check_python),
    Check("settings", "devenv.toml and DEVENV_ variables", machine.check_settings),
    Check("docker-cli", "the docker program, 25 or newer", machine.check_docker_cli),
    Check("compose", "its Compose plugin, 2.30 or newer", machine.check_compose, after="docker-cli"),
    Check("buildx", "its buildx plugin, 0.12 or newer", machine.check_buildx, after="docker-cli"),
    Check("docker-config", "the docker CLI's config.json", machine.check_docker_config),
    Check("engine", "the Docker Engine, 25 or newer", machine.check_engine),
    Check("memory", "the engine's memory; 8 GB are recommended", machine.check_memory),
    Check("cpu", "the engine's processors", machine.check_cpu),
    Check("disk", "free space for images and volumes", machine.check_disk),
    Check("clock", "the engine's clock against this machine's", machine.check_clock),
    Check("project", "the Compose project, as Compose reads it", machine.check_project),
    Check("origin", "whether its containers were started from this folder", machine.check_origin),
    Check("ports", "published ports, and which process holds one", machine.check_ports),
    Check("inotify", "the kernel's limits against the folders to watch", machine.check_inotify),
    Check("file-events", "whether saved files are heard of", machine.check_file_events),
    Check("leftovers", "what killed runs of smoke tests left", machine.check_leftovers),
    Check("kubeconfig", "the kubeconfig's contexts", cluster.check_kubeconfig),
    Check("kubectl", "kubectl, and how far it is from the cluster's version", cluster.check_kubectl),
    Check("minikube", "minikube and the state of its cluster", cluster.check_minikube),
    Check("cluster", "the API server and its nodes", cluster.check_cluster),
    Check("metrics", "the metrics server, and how often it measures", cluster.check_metrics),
    Check("ingress", "whether the manifests' ingress class is served", cluster.check_ingress),
    Check("capacity", "whether all pods fit at the autoscalers' maximum", cluster.check_capacity),
)
