"""A process that forwards a local port to the pods of a Service for as long as its standard input stays open.

python -m devenv.load.forwarding CONTEXT NAMESPACE SERVICE [PORT]; prints one JSON object: `url`, or `error`.
"""

from __future__ import annotations

import os
import signal
import sys

from devenv.backends.kube.client import KubeClient
from devenv.backends.kube.kinds import SERVICES
from devenv.backends.kube.kubeconfig import find_target
from devenv.control.kube.forward import Forward
from devenv.core.errors import DevenvError
from devenv.core.kube_settings import KubeSettings
from devenv.runs.lines import say


def main(arguments: list[str]) -> int:
    """Forward until nobody needs it any more."""
    context, namespace, service, port = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        client = KubeClient(find_target(KubeSettings(context, namespace), os.environ), os.environ)
        ports = client.get(SERVICES.path(namespace, service))["spec"]["ports"]
        # devenv.toml names the container's port; where none is named it is the Service's first.
        named = (one for one in ports if port in (str(one.get("targetPort")), str(one["port"]), str(one.get("name"))))
        # Each new connection goes to the next ready pod, as a Service's do: one pod alone would get all of the load.
        forward = Forward(client, "service", service, int(next(named, ports[0])["port"]), spread=True)
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


if __name__ == "__main__":
    sys.exit(main([*sys.argv[1:], ""][:4]))
