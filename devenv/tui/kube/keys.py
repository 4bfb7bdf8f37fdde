"""The keys for a cluster; each says what it is in kubectl."""

from __future__ import annotations

from typing import Final

from textual.binding import Binding

KEYS: Final = (
    Binding(
        "colon",
        "order",
        "command",
        key_display=":",
        priority=True,
        id="kube.order",
        tooltip="pods, deploy, svc, any kind · ns NAME|all · ctx NAME · q; kubectl get KIND -n NAME",
    ),
    Binding(
        "r",
        "change('restart')",
        "restart",
        tooltip="asks which where it runs in both runtimes; kubectl rollout restart KIND/NAME",
        id="kube.restart",
    ),
    Binding("s", "change('start')", "start", tooltip="kubectl scale KIND/NAME --replicas=N", id="kube.start"),
    Binding(
        "S",
        "change('stop')",
        "stop",
        key_display="S",
        tooltip="to 0 pods; kubectl scale KIND/NAME --replicas=0",
        id="kube.stop",
    ),
    Binding("l", "logs", "logs", tooltip="of all pods and containers; kubectl logs -f KIND/NAME", id="kube.logs"),
    Binding("y", "yaml", "yaml", tooltip="kubectl get KIND NAME -o yaml", id="kube.yaml"),
    Binding("d", "describe", "describe", tooltip="kubectl describe KIND NAME", id="kube.describe"),
    Binding("o", "owners", "owners", tooltip="the tree of owners; kubectl tree KIND NAME", id="kube.owners"),
    Binding("e", "events", "events", tooltip="kubectl events --watch", id="kube.events"),
    Binding("h", "hpa", "hpa", tooltip="the autoscaler over time; kubectl get hpa --watch", id="kube.hpa"),
    Binding(
        "R",
        "rollout",
        "rollout",
        key_display="R",
        id="kube.rollout",
        tooltip="pods by stage; kubectl rollout status KIND/NAME",
    ),
    Binding("c", "scale", "scale", tooltip="kubectl scale KIND/NAME --replicas=N", id="kube.scale"),
    Binding("B", "undo", "undo", key_display="B", tooltip="kubectl rollout undo KIND/NAME", id="kube.undo"),
    Binding(
        "P",
        "pause",
        "pause/resume",
        key_display="P",
        id="kube.pause",
        tooltip="kubectl rollout pause|resume deployment/NAME",
    ),
    Binding("t", "shell", "shell", tooltip="kubectl exec -it POD -- sh", id="kube.shell"),
    Binding("T", "debug", "debug", key_display="T", tooltip="kubectl debug -it POD --image=… -- sh", id="kube.debug"),
    Binding(
        "p",
        "previous",
        "previous log",
        id="kube.previous",
        tooltip="of containers that were restarted; kubectl logs POD --previous",
    ),
    Binding("f", "forward", "forward", tooltip="kubectl port-forward KIND/NAME LOCAL:PORT", id="kube.forward"),
    Binding(
        "F",
        "forwards",
        "forwards",
        key_display="F",
        id="kube.forwards",
        tooltip="the open port-forwards with their traffic",
    ),
    Binding("E", "edit", "edit", key_display="E", tooltip="kubectl edit KIND/NAME", id="kube.edit"),
    Binding(
        "ctrl+d",
        "delete",
        "delete",
        key_display="^d",
        id="kube.delete",
        tooltip="asks, and says what goes with it; kubectl delete KIND NAME",
    ),
    Binding(
        "ctrl+e",
        "evict",
        "evict",
        key_display="^e",
        id="kube.evict",
        tooltip="heeds disruption budgets; the API's pods/NAME/eviction",
    ),
    Binding("K", "cordon", "cordon", key_display="K", tooltip="kubectl cordon|uncordon NODE", id="kube.cordon"),
    Binding(
        "C",
        "follow",
        "kubectl's context",
        key_display="C",
        id="kube.follow",
        tooltip="where somebody changed it; kubectl config current-context",
    ),
    Binding("X", "drain", "drain", key_display="X", id="kube.drain", tooltip="kubectl drain NODE --ignore-daemonsets"),
)
