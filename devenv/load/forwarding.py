"""A process that leads a local port to the pods of a Service for as long as its standard input stays open.

python -m devenv.load.forwarding CONTEXT NAMESPACE SERVICE [PORT]; prints one JSON object: `url`, or `error`.
"""

from __future__ import annotations

import os
import signal
import sys

from devenv.core.errors import DevenvError
from devenv.runs.lines import say


def main(arguments: list[str]) -> int:
    """Forward until nobody needs it any more."""
    from devenv.backends.kube.client import KubeClient
    from devenv.backends.kube.kinds import SERVICES
    from devenv.backends.kube.kubeconfig import find_target
    from devenv.control.kube.forward import Forward
    from devenv.core.kube_settings import KubeSettings

    context, namespace, service, port = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        client = KubeClient(find_target(KubeSettings(context, namespace), os.environ), os.environ)
        target_port = port or client.get(SERVICES.path(namespace, service))["spec"]["ports"][0]["port"]
        # Each new connection goes to the next ready pod, as a Service's do: one pod alone would get all of the load.
        forward = Forward(
            client, "service", service, _service_port(client, namespace, service, target_port), spread=True
        )
        local = forward.start()
    except DevenvError as error:
        say({"error": error.message, "hint": error.hint, "code": error.exit_code})
        return error.exit_code
    note = f"requests go through a port-forward to {service}: its own CPU and latency are in the numbers"
    say({"url": f"http://127.0.0.1:{local}", "notes": [note]})
    try:
        sys.stdin.read()
    finally:
        forward.close()
        client.close()
    return 0


def _service_port(client: object, namespace: str, service: str, target_port: object) -> int:
    """Return the Service's port that leads to the container's port `wanted`, as devenv.toml names that one."""
    from devenv.backends.kube.client import KubeClient
    from devenv.backends.kube.kinds import SERVICES

    assert isinstance(client, KubeClient)
    ports = client.get(SERVICES.path(namespace, service))["spec"]["ports"]
    for item in ports:
        if str(target_port) in (str(item.get("targetPort")), str(item["port"]), str(item.get("name"))):
            return int(item["port"])
    return int(ports[0]["port"])


if __name__ == "__main__":
    sys.exit(main([*sys.argv[1:], ""][:4]))
