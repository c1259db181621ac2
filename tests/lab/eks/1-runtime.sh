#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# containerd 2.x and runc from the Go module proxy (host packages: libseccomp-dev pkg-config xfsprogs).
set -e; . "$(dirname "$0")/env.sh"; mkdir -p "$EKSDIR/ctrd"; cd "$EKSDIR/ctrd"
printf 'module labctrd\ngo 1.24.0\nrequire github.com/containerd/containerd/v2 %s\n' "$CTRD" > go.mod
export GOFLAGS=-mod=mod
GOMOD=$(go mod download -json "github.com/containerd/containerd/v2@$CTRD" | jq -r .GoMod)
sed -i "s/^go .*/$(grep -E '^go ' "$GOMOD")/" go.mod
# the module's main packages need their libraries in go.sum: import those
cat > tools.go <<Y
package main
import (
 _ "github.com/containerd/containerd/v2/cmd/containerd/command"
 _ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
 _ "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2/task/plugin"
 _ "github.com/containerd/containerd/v2/cmd/ctr/app"
)
func main() {}
Y
go mod tidy -e > tidy.log 2>&1 || true
for c in containerd containerd-shim-runc-v2 ctr; do
  [ -x "$EKSDIR/bin/$c" ] || CGO_ENABLED=0 go build -trimpath -tags "no_btrfs no_devmapper" -ldflags "-s -w -X github.com/containerd/containerd/v2/version.Version=$CTRD" -o "$EKSDIR/bin/$c" "github.com/containerd/containerd/v2/cmd/$c"
done
# runc 1.2 or newer is needed for user namespaces with mapped volumes; static, as the node's libc is older than the builder's may be
[ -x "$EKSDIR/bin/runc" ] || (cd "$EKSDIR" && unset GOFLAGS && GOBIN="$EKSDIR/bin" CGO_ENABLED=1 go install -trimpath -tags "seccomp netgo osusergo" -ldflags "-s -w -X main.version=${RUNC#v} -extldflags -static" "github.com/opencontainers/runc@$RUNC")
ls -la "$EKSDIR/bin"
