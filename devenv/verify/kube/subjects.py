"""What a verdict on Kubernetes is about: the pod template of each workload, and the images that its pods run."""

from __future__ import annotations

from devenv.backends.kube.errors import KubeError
from devenv.backends.kube.parse.workload import template_hash
from devenv.verify.kube.stack import KubeStack
from devenv.verify.subjects import Subject, digests


def subjects_of_namespace(stack: KubeStack) -> dict[str, Subject]:
    """Read what a namespace under test is made of, by workload; what cannot be read is left unknown."""
    found = {name: Subject() for name in stack.services}
    for name in stack.services:
        try:
            images = digests(pod.image_id for pod in stack.engine.pods(name))
            found[name] = Subject(images, template_hash(stack.client.get(stack.engine.path(name))))
        except KubeError as error:
            stack.mark(f"what is verified of {name} could not be told: {error.message}")
    return found
