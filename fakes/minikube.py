"""A `minikube` on PATH that keeps the state of one cluster in a folder and prints what minikube 1.37 prints as JSON.

Where its formats come from: pkg/minikube/out/register (the events), cmd/minikube/cmd/config/profile_list.go and
addons_list_json in minikube's source. Nothing of it runs a cluster: `start` puts a kubeconfig where minikube would.
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = r"""#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$*" >> calls
words= profile=minikube
for word; do
  case $word in
    --profile=*) profile=${word#*=} ;;
    -* | json) ;;
    *) words="$words $word" ;;
  esac
done
event() {
  printf '{"specversion":"1.0","id":"1","source":"https://minikube.sigs.k8s.io/","type":"io.k8s.sigs.minikube.%s",' "$1"
  printf '"datacontenttype":"application/json","data":%s}\n' "$2"
}
step() {
  event step "{\"currentstep\":\"$1\",\"message\":\"😄  $4\",\"name\":\"$3\",\"totalsteps\":\"$2\"}"
  while [ -e hold ]; do sleep 0.05; done
  sleep "$(cat pause)"
}
is() { echo "$1" > state; date +%s%N > "$HOME/.minikube/profiles/$profile/events.json"; }
mkdir -p "$HOME/.minikube/profiles/$profile"
case $words in
  " profile list")
    state=$(cat state)
    if [ -z "$state" ]; then echo '{"invalid":[],"valid":[]}'; exit; fi
    printf '{"invalid":[],"valid":[{"Name":"%s","Status":"%s","Config":{"Name":"%s",' "$profile" "$state" "$profile"
    printf '"Memory":6144,"CPUs":4,"DiskSize":20000,"Driver":"docker",'
    printf '"KubernetesConfig":{"KubernetesVersion":"v1.36.2","ContainerRuntime":"docker"},'
    printf '"Nodes":[{"Name":"","Port":8443,"ControlPlane":true,"Worker":true}],'
    printf '"Addons":{"metrics-server":true,"ingress":false}},"Active":true,"ActiveKubeContext":true}]}\n' ;;
  " addons list")
    printf '{"ingress":{"Profile":"%s","Status":"disabled"},' "$profile"
    printf '"metrics-server":{"Profile":"%s","Status":"enabled"}}\n' "$profile" ;;
  " start")
    step 0 19 "Initial Minikube Setup" "minikube v1.37.0 on Debian 12"
    step 1 19 "Selecting Driver" "Using the docker driver based on user configuration"
    if [ -e fails ]; then
      data='{"advice":"Give Docker more CPUs","exitcode":"29","issues":"","message":"Docker has 1 CPU",'
      event error "$data"'"name":"RSRC_INSUFFICIENT_CORES","url":""}'
      exit 29
    fi
    event download.progress '{"artifact":"preload.tar.lz4","currentstep":"2","progress":"0.42","totalsteps":"19"}'
    step 5 19 "Pulling Base Image" "Pulling base image v0.0.48 ..."
    event warning '{"message":"❗  This container is having trouble accessing https://registry.k8s.io"}'
    step 11 19 "Preparing Kubernetes" "Preparing Kubernetes v1.36.2 on Docker 28.4.0 ..."
    step 17 19 "Verifying Kubernetes" "Verifying Kubernetes components..."
    cp kubeconfig "$(cat where)"
    is OK
    step 19 19 Done 'Done! kubectl is now configured to use \"minikube\" cluster' ;;
  " stop") step 0 1 Stopping 'Stopping node \"minikube\"  ...'; rm -f "$(cat where)"; is Stopped ;;
  " pause") step 0 1 Pausing "Pausing node minikube ... "; is Paused ;;
  " unpause") step 0 1 Unpausing "Unpausing node minikube ... "; is OK ;;
  " delete") step 0 3 Deleting 'Deleting \"minikube\" in docker ...'; rm -f "$(cat where)"; is "" ;;
  " addons enable"* | " addons disable"*) echo "🌟  The addon is changed" ;;
  " image load"*) sleep "$(cat pause)" ;;
  *) echo "unknown command:$words" >&2; exit 64 ;;
esac
"""


def install(folder: Path, kubeconfig: Path, where: Path, *, state: str = "", pause: float = 0) -> Path:
    """Put it into a folder for PATH; where it runs, `kubeconfig` is at `where`. `state` is "" for no cluster.

    A file `hold` in the folder stops each step until it is gone, one `fails` ends `start` with an error; `calls` has
    the command lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("state", state), ("pause", str(pause)), ("where", str(where)), ("calls", "")):
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "kubeconfig").write_bytes(kubeconfig.read_bytes())
    program = folder / "minikube"
    program.write_text(SCRIPT, encoding="utf-8")
    program.chmod(0o755)
    return program
