# SPDX-License-Identifier: Apache-2.0
# Sourced by the scripts of this folder and of ../eks. LAB: where everything is made; nothing is written beside the scripts.
# shellcheck disable=SC2034
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
LAB=${LAB:-${MEMIR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/memir}/lab/kube}
K8S=${K8S:-v1.34.4}
ETCD=${ETCD:-v3.6.16}
NODE=ip-10-0-1-23.ec2.internal
SSH_PORT=${SSH_PORT:-2222}
mkdir -p "$LAB/run" "$LAB/images" "$LAB/pki"
K="$LAB/k8s/kubectl --kubeconfig $LAB/admin.conf"
nssh() { ssh -i "$LAB/key" -p "$SSH_PORT" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=30 root@127.0.0.1 "$@"; }
# a stale server or node would answer in the place of the one that is started
free_ports() {
  for port in "$SSH_PORT" 10250 12379 12380 16443; do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then echo "port $port is in use: end what listens there first" >&2; return 1; fi
  done
}
