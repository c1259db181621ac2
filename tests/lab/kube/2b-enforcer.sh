#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kube-network-policies (kubernetes-sigs) as a Go module, and an image of it: who enforces NetworkPolicies on the node.
# A minute on two cores. Its rules are nftables with a queue, which the kernel of 3-node.sh has as modules.
set -e; . "$(dirname "$0")/env.sh"
ENFORCER=${ENFORCER:-v0.8.0}
mkdir -p "$LAB/enforcer/root/bin" && cd "$LAB/enforcer"
[ -f root/bin/netpol ] || {
  GOBIN=$PWD CGO_ENABLED=0 go install -trimpath -ldflags "-s -w" "sigs.k8s.io/kube-network-policies/cmd@$ENFORCER"
  mv cmd root/bin/netpol
}
python3 "$HERE/mkoci.py" enforcer.tar "registry.k8s.io/networking/kube-network-policies:$ENFORCER" /bin/netpol root
ls -la enforcer.tar
