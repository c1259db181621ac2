#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real kubelet, API server, controller manager, scheduler, kubectl and etcd, built as Go modules: about 7 minutes on two cores.
set -e; . "$(dirname "$0")/env.sh"
S=v0.${K8S#v1.}; MINOR=$(echo "$K8S" | cut -d. -f2)
mkdir -p "$LAB/k8s" && cd "$LAB/k8s"
printf 'module labk8s\ngo 1.24.0\nrequire k8s.io/kubernetes %s\n' "$K8S" > go.mod
export GOFLAGS=-mod=mod CGO_ENABLED=0
GOMOD=$(go mod download -json "k8s.io/kubernetes@$K8S" | jq -r .GoMod)
sed -i "s/^go .*/$(grep -E '^go ' "$GOMOD")/" go.mod
# the published modules in place of the in-tree staging folders
{ echo 'replace ('; grep -oE '^\s+k8s.io/[a-z0-9-]+ => ./staging' "$GOMOD" | awk -v s="$S" '{print "  " $1 " => " $1 " " s}' | sort -u; echo ')'; } >> go.mod
cat > tools.go <<X
package main
import (
 _ "k8s.io/kubernetes/cmd/kubelet/app"
 _ "k8s.io/kubernetes/cmd/kube-apiserver/app"
 _ "k8s.io/kubernetes/cmd/kube-controller-manager/app"
 _ "k8s.io/kubernetes/cmd/kube-scheduler/app"
 _ "k8s.io/kubectl/pkg/cmd"
)
func main() {}
X
go mod tidy -e > tidy.log 2>&1 || true
V=k8s.io/component-base/version
# in one go: what is linked, one processor each, is linked while the rest is compiled
go build -trimpath -ldflags "-s -w -X $V.gitVersion=$K8S -X $V.gitMajor=1 -X $V.gitMinor=$MINOR" -o "$LAB/k8s/" \
  k8s.io/kubernetes/cmd/{kubelet,kube-apiserver,kubectl,kube-controller-manager,kube-scheduler}
mkdir -p "$LAB/etcd" && cd "$LAB/etcd"
printf 'module labetcd\ngo 1.25\nrequire go.etcd.io/etcd/server/v3 %s\n' "$ETCD" > go.mod
printf 'package main\nimport ("os"; "go.etcd.io/etcd/server/v3/etcdmain")\nfunc main() { etcdmain.Main(os.Args) }\n' > main.go
go mod tidy > tidy.log 2>&1 && go build -ldflags "-s -w" -o etcd .
ls -la "$LAB"/k8s/kube* "$LAB/etcd/etcd"
