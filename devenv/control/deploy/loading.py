"""Ways to bring an image of the local engine into a local cluster, by the program that made the cluster.

Sources: `minikube image load --help`, `kind load docker-image --help`, `k3d image import --help`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from devenv.backends.kube.kubeconfig import ContextInfo
from devenv.backends.programs import output_of
from devenv.control.deploy.shipping import Loader
from devenv.core.text import sanitize

TIMEOUT = 600.0  # seconds for one image; minikube copies it as a file
_SHARED = ("docker-desktop",)  # the cluster's nodes use the engine's own images


@dataclass(frozen=True, slots=True)
class ProgramLoader:
    """Loads with a program; `before` and `after` stand around the image's name on its command line."""

    before: tuple[str, ...]
    after: tuple[str, ...] = ()
    environ: Mapping[str, str] | None = None
    shares: bool = False

    def load(self, image: str) -> None:
        """Load the image; raises ToolMissing, and DevenvError with the program's last words."""
        command = [*self.before, image, *self.after]
        by_hand = f"Try it by hand: {' '.join(command)}"
        output_of(command, self.environ, timeout=TIMEOUT, install="Is it installed?", slow=by_hand, failed=by_hand)


@dataclass(frozen=True, slots=True)
class SharedEngine:
    """The cluster runs what the engine has: nothing is to be loaded."""

    shares: bool = True

    def load(self, image: str) -> None:
        """Do nothing."""


def loader_for(context: ContextInfo, environ: Mapping[str, str]) -> tuple[Loader | None, str]:
    """Return the way into the cluster, or None and why there is none; a program is used only where it is found."""
    if context.flavour in _SHARED:
        return SharedEngine(), ""
    commands = {
        "minikube": (("minikube", "-p", context.name, "image", "load"), ()),
        "kind": (("kind", "load", "docker-image"), ("--name", context.name.removeprefix("kind-"))),
        "k3d": (("k3d", "image", "import"), ("--cluster", context.name.removeprefix("k3d-"))),
    }
    if context.flavour not in commands:
        return None, f"nothing is known to load images into {sanitize(context.name)}"
    before, after = commands[context.flavour]
    program = shutil.which(before[0], path=environ.get("PATH"))
    if program is None:
        return None, f"there is no {before[0]} program here to load them with"
    return ProgramLoader((program, *before[1:]), after, environ), ""
