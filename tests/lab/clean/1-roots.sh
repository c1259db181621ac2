#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the images of the second clean node are made of: Debian roots with a JVM, node.js, PostgreSQL and iptables, a Go
# program. The root with nginx and Python is that of ../kube/3-node.sh. PARTS: its folder; LAB: where all of this is made.
set -e; . "$(dirname "$0")/env.sh"; cd "$LAB"
root() {
  [ -f "$1.done" ] && return
  rm -rf "$1"
  # in a pid namespace of its own: packages that start their service (PostgreSQL) do so in the chroot too
  unshare -pf --mount-proc --kill-child debootstrap --variant=minbase --include="$2" bookworm "$1" > "run/$1.log" 2>&1
  mkdir -p "debs/$1"; mv "$1"/var/cache/apt/archives/*.deb "debs/$1/"
  rm -rf "$1"/var/lib/apt/lists/* "$1"/usr/share/{doc,man,locale,info}
  touch "$1.done"
}
root jvm openjdk-17-jre-headless,libhsqldb-java
root js nodejs,libjemalloc2
root pg postgresql
root mesh iptables,jq,ca-certificates
# the package manager's archive: what it will install lies in the image, as the node reaches no network
mkdir -p l-repo/srv/repo; cp debs/mesh/{jq,libjq1,libonig5}_*.deb l-repo/srv/repo/
python3 "$HERE/packages.py" l-repo/srv/repo > l-repo/srv/repo/Packages
mkdir -p go; cp "$HERE"/*.go go/; cd go
[ -f go.mod ] || go mod init fleet 2>/dev/null
CGO_ENABLED=0 go build -trimpath -o fleet .
