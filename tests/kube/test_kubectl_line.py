"""What a command line of kubectl does: the table of verbs, with the flags that change it."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from devenv.control.kube.kubectl import (
    EFFECTS,
    SWITCHES,
    Effect,
    find_kubectl,
    parse_line,
    with_defaults,
    without_yes,
)
from devenv.core.errors import UsageError

READS, CHANGES, TAKES = Effect.READS, Effect.CHANGES, Effect.TAKES_AWAY
TABLE = [
    (READS, "", "--help", "get pods", "-n shop get pods -w", "describe po/x", "logs -f x -c y", "top pods", "version"),
    (READS, "auth can-i delete pods", "rollout status deploy/x", "rollout history deploy/x", "config view --raw"),
    (READS, "config current-context", "diff -f x", "wait --for=delete pod/x", "explain pods", "kustomize .", "rollout"),
    (READS, "port-forward svc/x 80", "cp pod-1:/tmp/x .", "cp shop/pod-1:/x y", "apply view-last-applied -f x"),
    (
        READS,
        "delete pod x --help",
        "delete -h",
        "delete pod x --dry-run=server",
        "apply -f x --dry-run client --dry-run=client",
    ),
    (READS, "create deployment x --image y --dry-run=client -o yaml", "scale deploy/x --replicas=0 --dry_run=server"),
    (
        CHANGES,
        "apply -f x",
        "create ns x",
        "edit deploy/x",
        "label pod x a=b",
        "annotate pod x a-",
        "set image deploy/x a=b",
    ),
    (CHANGES, "exec -it x -- sh", "exec x -- kubectl get --help", "exec x -- delete --dry-run=client", "attach x"),
    (
        CHANGES,
        "debug -it x --image=y",
        "cp ./x pod-1:/tmp/x",
        "cp ./a:b c",
        "proxy",
        "run x --image=y",
        "cordon n",
        "uncordon n",
    ),
    (CHANGES, "rollout restart deploy/x", "rollout undo deploy/x", "config use-context x", "config set-context x"),
    (
        CHANGES,
        "scale deploy/x --replicas=3",
        "scale deploy/x --replicas 10",
        "taint node n a=b:NoSchedule",
        "patch pod x -p {}",
    ),
    (
        CHANGES,
        "auth reconcile -f x",
        "certificate approve x",
        "autoscale deploy/x --max=2",
        "replace -f x",
        "expose svc/x",
    ),
    (
        CHANGES,
        "tree deploy x",
        "some-plugin --dry-run=client",
        "some-plugin --help-me",
        "create --raw /api/v1/pods -f x",
    ),
    (
        TAKES,
        "delete pod x",
        "-n shop delete pod x",
        "--namespace shop delete -f x",
        "delete --all pods",
        "delete --raw /api/v1/x",
    ),
    (
        TAKES,
        "delete pod x --dry-run=none",
        "delete pod x --dry-run=client --dry-run=none",
        "delete -f x -h=false",
        "drain n",
    ),
    (TAKES, "scale deploy/x --replicas=0", "scale deploy/x --replicas 0", "scale --replicas=00 deploy/x"),
    (TAKES, "apply -f x --prune -l a=b", "apply -f x --force", "replace --force -f x", "taint node n a=b:NoExecute"),
    (TAKES, "config delete-context x", "config unset users", "create --raw /api/v1/namespaces/a/pods/b/eviction -f x"),
    (TAKES, "delete pod --field-manager -h x"),
]


@pytest.mark.parametrize(("effect", "line"), [(effect, line) for effect, *lines in TABLE for line in lines])
def test_the_effect_of_a_line(effect: Effect, line: str) -> None:
    assert parse_line(shlex.split(line)).effect is effect


def test_words_are_taken_apart_as_kubectl_does() -> None:
    line = parse_line(shlex.split("-n shop delete pods a b -lapp=x --cascade orphan -itcmain --as_group=g -- c -n d"))
    assert (line.verb, line.names, line.rest) == ("delete", ("pods", "a", "b", "orphan"), ("c", "-n", "d"))
    assert line.flags == (
        ("namespace", "shop"),
        ("selector", "app=x"),
        ("cascade", "true"),
        ("stdin", "true"),
        ("tty", "true"),
        ("c", "main"),
        ("as-group", "g"),
    )
    assert parse_line(["rollout", "restart", "deploy/x"]).names == ("deploy/x",)
    assert parse_line(["logs", "-f", "web"]).names == ("web",)
    assert parse_line(["delete", "-f", "web"]).names == ()


@pytest.mark.parametrize("line", ["delete pod x --new-flag --context prod", "get pods -l --server=https://x"])
def test_a_flag_for_another_cluster_that_would_be_a_value_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="not clear which cluster"):
        parse_line(shlex.split(line))


def test_a_plugins_own_flags_hide_no_context() -> None:
    assert parse_line(["some-plugin", "--deep", "--context", "prod"]).last("context") == "prod"


def test_the_settings_stand_before_the_verb_and_give_way_to_flags() -> None:
    line = parse_line(["get", "pods", "-n", "a"])
    assert with_defaults(line, ("context", "dev"), ("namespace", "shop")) == ("--context=dev", "get", "pods", "-n", "a")


def test_yes_is_devenvs_own_before_two_dashes_only() -> None:
    assert without_yes(["delete", "pod", "x", "--yes"]) == (("delete", "pod", "x"), True)
    assert without_yes(["exec", "x", "--", "apt", "-y"]) == (("exec", "x", "--", "apt", "-y"), False)


def test_the_audit_log_gets_no_secrets() -> None:
    line = parse_line(shlex.split("create secret generic x --from-literal=a=hunter2 --token hunter2 -- hunter2"))
    assert line.masked == "create secret generic x --from-literal=*** --token=***"
    assert "hunter2" not in parse_line(["set", "env", "deploy/x", "PASSWORD=hunter2"]).masked


def test_every_verb_and_switch_of_the_installed_kubectl_is_known() -> None:
    """A newer kubectl may have more: they count as changes, and their switches have to be added."""
    kubectl = find_kubectl({})

    def told(*words: str) -> str:
        return subprocess.run([kubectl, *words, "--help"], capture_output=True, text=True, check=True).stdout

    verbs = set(re.findall(r"^  ([a-z][a-z-]+)  +[A-Z]", told(), re.M))
    known = {name.partition(" ")[0] for name in EFFECTS}
    assert verbs
    assert verbs <= known
    elsewhere = {"command", "containers", "prefix", "raw"}  # of one verb, and with a value in another
    for words in (
        ("delete",),
        ("drain",),
        ("scale",),
        ("apply",),
        ("exec",),
        ("rollout", "restart"),
        ("cp",),
        ("get",),
    ):
        switches = set(re.findall(r"^    (?:-\w, )?--([a-z-]+)=(?:false|true):$", told(*words), re.M))
        assert switches - elsewhere <= SWITCHES, words
