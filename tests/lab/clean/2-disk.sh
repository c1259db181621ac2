#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Images of the second clean node, and its disk. As on a node whose machine image brings them, they lie in containerd's
# store before the first boot: the node's own containerd takes them in, in a chroot on this machine, not in emulation.
set -e; . "$(dirname "$0")/env.sh"; cd "$LAB"
for part in key k8s etcd pki vmlinuz initrd; do [ "$part" = pki ] && rm -rf pki; ln -sfn "$PARTS/$part" "$part"; done
oci() { out=images/$1.tar; shift; python3 "$UP/mkoci.py" "$out" "$@"; }
fleet() { rm -rf "l-$1"; mkdir -p "l-$1/usr/local/bin"; shift_to=l-$1/usr/local/bin; shift; for name in "$@"; do cp go/fleet "$shift_to/$name"; done; }
mkdir -p l-node/srv l-pg/usr/local/bin
cp "$HERE/app.js" l-node/srv/; install -m 755 "$HERE/entrypoint.sh" l-pg/usr/local/bin/docker-entrypoint.sh
fleet api catalog-api; fleet proxy pilot-agent envoy; fleet cni aws-k8s-agent; fleet csi aws-ebs-csi-driver csi-node-driver-registrar; fleet agent agent
mkdir -p l-cni/app l-small/bin; cp /bin/busybox l-small/bin/; for a in sh cp mkdir sleep; do ln -sfn busybox l-small/bin/$a; done
# what the CNI plugin's first container copies onto the node
cp go/fleet l-cni/app/aws-cni
E=602401143452.dkr.ecr.eu-west-1.amazonaws.com
rm -f images/*
oci pause registry.k8s.io/pause:3.10 /pause "$PARTS/l-pause"
oci busybox docker.io/library/busybox:1.35 /bin/sh "$PARTS/l-bb"
oci nginx docker.io/library/nginx:1.22 "nginx -g 'daemon off;'" "$PARTS/web"
oci jvm registry.example/orders/store:4.0.1 java jvm
oci js registry.example/storefront/sessions:3.1.0 "node /srv/app.js" js l-node
oci pg docker.io/library/postgres:15 docker-entrypoint.sh pg l-pg
oci proxy docker.io/istio/proxyv2:1.24.2 /usr/local/bin/pilot-agent mesh l-proxy
oci build registry.example/tools/build:1 /bin/sh "$PARTS/web" l-repo
oci api registry.example/storefront/catalog:7.3.0 /usr/local/bin/catalog-api l-api
oci cni $E/amazon-k8s-cni:v1.20.4-eksbuild.2 /usr/local/bin/aws-k8s-agent l-small l-cni
oci csi $E/eks/aws-ebs-csi-driver:v1.48.0 /usr/local/bin/aws-ebs-csi-driver l-csi
oci agent registry.example/monitoring/agent:7.61.0 /usr/local/bin/agent l-agent
rm -rf root; cp -a "$PARTS/root-bookworm" root; R=$PWD/root
rm -f $R/opt/images/*; sed -i '/^ExecStartPre/d' $R/etc/systemd/system/kubelet.service
# an emulated node that starts a dozen pods at once takes more than kubelet's two minutes for some
echo 'runtimeRequestTimeout: 15m' >> $R/etc/kubernetes/kubelet.yaml
printf 'nf_nat\nxt_REDIRECT\nxt_owner\nxt_comment\nxt_multiport\nxt_MASQUERADE\nnft_compat\n' >> $R/etc/modules-load.d/k8s.conf
printf 'kernel.perf_event_paranoid=2\n' > $R/etc/sysctl.d/perf.conf
# in namespaces of its own, with a /run of its own, that ends with it
cat > run/import.sh <<'Y'
set -e
mount -t proc proc "$1/proc"; mount -t tmpfs tmpfs "$1/run"; mount --bind images "$1/opt/images"
chroot "$1" containerd > run/containerd.log 2>&1 & D=$!
for _ in $(seq 60); do chroot "$1" ctr version > /dev/null 2>&1 && break; sleep 1; done
for tar in images/*.tar; do chroot "$1" ctr -n k8s.io images import "/opt/images/${tar##*/}"; done
chroot "$1" ctr -n k8s.io images ls -q
kill $D; wait $D || true
Y
unshare -m -p -f --kill-child bash run/import.sh "$R"
rm -f node.img; truncate -s 10G node.img; mkfs.ext4 -q -d $R node.img; rm -rf root; ls -las node.img
