"""Who may talk to whom: the policies evaluated as a network plugin would, for every pair of pods."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from k8s_rendering import Object, Rendering

INGRESS_NAMESPACE = {"docsearch/ingress-controller": "true"}
KUBE_SYSTEM = {"kubernetes.io/metadata.name": "kube-system"}
OWN = {"kubernetes.io/metadata.name": "docsearch"}
PORTS = (53, 3000, 5432, 8000, 443)


def matches(selector: Object | None, labels: dict[str, str]) -> bool:
    assert selector is None or selector.keys() <= {"matchLabels"}, "the evaluation knows matchLabels only"
    return all(labels.get(key) == value for key, value in (selector or {}).get("matchLabels", {}).items())


def peer_matches(peer: Object, namespace: dict[str, str], pod: dict[str, str]) -> bool:
    if "ipBlock" in peer:
        return False
    here = matches(peer["namespaceSelector"], namespace) if "namespaceSelector" in peer else namespace == OWN
    return here and matches(peer.get("podSelector"), pod)


def allowed(
    rendered: Rendering,
    direction: str,
    pod: dict[str, str],
    namespace: dict[str, str],
    other: dict[str, str],
    port: int,
) -> bool:
    """Whether `pod` of the namespace may be reached from, or reach, the other pod at the TCP port."""
    rules, peers = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    policies = [
        item["spec"]
        for item in rendered.all("NetworkPolicy")
        if direction in item["spec"]["policyTypes"] and matches(item["spec"]["podSelector"], pod)
    ]
    if not policies:
        return True
    return any(
        any(peer_matches(peer, namespace, other) for peer in rule[peers])
        and any(entry["port"] == port and entry["protocol"] == "TCP" for entry in rule["ports"])
        for policy in policies
        for rule in policy.get(rules, [])
    )


def labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": name}


def reachable(rendered: Rendering) -> set[tuple[str, str, int]]:
    own = {name: labels(name) for name in ("frontend", "backend", "postgres", "stranger")}
    ways = {
        (source, target, port)
        for source in own
        for target in own
        for port in PORTS
        if allowed(rendered, "Egress", own[source], OWN, own[target], port)
        and allowed(rendered, "Ingress", own[target], OWN, own[source], port)
    }
    for outside, namespace in (("controller", INGRESS_NAMESPACE), ("elsewhere", {})):
        ways |= {
            (outside, target, port)
            for target in own
            for port in PORTS
            if allowed(rendered, "Ingress", own[target], namespace, labels("any"), port)
        }
    for source in own:
        ways |= {
            (source, "dns", p)
            for p in PORTS
            if allowed(rendered, "Egress", own[source], KUBE_SYSTEM, {"k8s-app": "kube-dns"}, p)
        }
        ways |= {(source, "world", p) for p in PORTS if allowed(rendered, "Egress", own[source], {}, {}, p)}
    return ways


def test_exactly_the_ways_that_are_needed(rendered: Rendering, overlay: str) -> None:
    expected = {
        ("controller", "frontend", 3000),
        ("controller", "backend", 8000),
        ("frontend", "backend", 8000),
        *((pod, "dns", 53) for pod in ("frontend", "backend", "postgres", "stranger")),
    }
    if overlay == "staging":
        expected.add(("backend", "postgres", 5432))
    assert reachable(rendered) == expected


def test_dns_over_udp_too(rendered: Rendering) -> None:
    (rule,) = rendered.one("NetworkPolicy", "allow-dns")["spec"]["egress"]
    assert {(item["protocol"], item["port"]) for item in rule["ports"]} == {("UDP", 53), ("TCP", 53)}


def test_production_reaches_its_database_and_no_other_address(render: Callable[[str], Rendering]) -> None:
    blocks = [
        (peer["ipBlock"]["cidr"], rule["ports"])
        for policy in render("overlays/production").all("NetworkPolicy")
        for rule in policy["spec"].get("egress", [])
        for peer in rule["to"]
        if "ipBlock" in peer
    ]
    assert [ports for _, ports in blocks] == [[{"protocol": "TCP", "port": 5432}]]
    assert all(not cidr.endswith("/0") for cidr, _ in blocks)


def test_gateway_routes_as_the_ingress_does(
    render: Callable[[str], Rendering], build: Callable[[str], Rendering]
) -> None:
    base = render("base")
    (rule,) = base.one("Ingress", "docsearch")["spec"]["rules"]
    by_ingress = {(item["path"], item["backend"]["service"]["name"]) for item in rule["http"]["paths"]}
    assert by_ingress == {("/api", "backend"), ("/", "frontend")}
    gateway = build("resources: ['{k8s}/base']\ncomponents: ['{k8s}/components/gateway']\n")
    assert not gateway.all("Ingress")
    route = gateway.one("HTTPRoute", "docsearch")["spec"]
    ports = {item["metadata"]["name"]: item["spec"]["ports"][0]["port"] for item in base.all("Service")}
    by_route = {(rule["matches"][0]["path"]["value"], rule["backendRefs"][0]["name"]) for rule in route["rules"]}
    assert by_route == by_ingress
    assert all(rule["backendRefs"][0]["port"] == ports[rule["backendRefs"][0]["name"]] for rule in route["rules"])


def test_ingress_carries_no_annotation_and_its_class_is_the_overlays(rendered: Rendering, overlay: str) -> None:
    ingress = rendered.one("Ingress", "docsearch")
    assert "annotations" not in ingress["metadata"]
    # Without a class the cluster's default controller serves it: minikube's addons ingress and traefik both are that.
    assert ingress["spec"].get("ingressClassName") == (None if overlay == "dev" else "traefik")
    assert [item["hosts"] for item in ingress["spec"]["tls"]] == [[item["host"] for item in ingress["spec"]["rules"]]]


@pytest.mark.parametrize("name", ["nginx", "traefik"])
@pytest.mark.parametrize("below", ["dev", "staging", "production"])
def test_a_cluster_of_either_class_is_one_patch(
    build: Callable[[str], Rendering], render: Callable[[str], Rendering], below: str, name: str
) -> None:
    patch = f'"- {{op: add, path: /spec/ingressClassName, value: {name}}}"'
    text = f"resources: ['{{k8s}}/overlays/{below}']\npatches:\n  - {{target: {{kind: Ingress}}, patch: {patch}}}\n"
    patched, plain = (one.one("Ingress", "docsearch")["spec"] for one in (build(text), render(f"overlays/{below}")))
    assert patched.pop("ingressClassName") == name
    plain.pop("ingressClassName", None)
    assert patched == plain, "nothing else depends on the class"
