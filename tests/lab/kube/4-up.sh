#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 4-up.sh MEGABYTES [kernel command line]: control plane on loopback, node in software emulation. Ends with 1 when WANT
# pods do not run within WAIT seconds. The node's disk is node.img; what it writes goes with it (snapshot=on). DRIVE: a file
# that the node reads as /dev/vdb.
set -e; . "$(dirname "$0")/env.sh"; cd "$LAB"; MB=${1:-1024}; shift || true
free_ports
P=pki; B=k8s; D=cp; rm -rf $D; mkdir -p $D
cat > $D/audit.yaml <<Y
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:apiserver"]}
- {level: None, resources: [{group: coordination.k8s.io, resources: [leases]}]}
- {level: RequestResponse, verbs: [create, delete, patch, update]}
- {level: Metadata}
Y
bg() { n=$1; shift; nice -n "${NICE:-10}" "$@" > $D/$n.log 2>&1 & echo $! > run/$n.pid; }
bg etcd etcd/etcd --data-dir $D/etcd --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 --listen-peer-urls http://127.0.0.1:12380
sleep 2
bg apiserver $B/kube-apiserver --etcd-servers=http://127.0.0.1:12379 --bind-address=127.0.0.1 --secure-port=16443 --advertise-address=10.0.2.2 --tls-cert-file=$P/apiserver.crt --tls-private-key-file=$P/apiserver.key --client-ca-file=$P/ca.crt --kubelet-client-certificate=$P/admin.crt --kubelet-client-key=$P/admin.key --service-account-issuer=https://oidc.eks.eu-west-1.amazonaws.com/id/LAB --service-account-key-file=$P/sa.pub --service-account-signing-key-file=$P/sa.key --service-cluster-ip-range=10.100.0.0/16 --authorization-mode=Node,RBAC --allow-privileged=true --audit-policy-file=$D/audit.yaml --audit-log-path=$D/audit.log --endpoint-reconciler-type=none --kubelet-preferred-address-types=Hostname
cat > admin.conf <<Y
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {certificate-authority: $PWD/$P/ca.crt, server: "https://127.0.0.1:16443"}}]
users: [{name: admin, user: {client-certificate: $PWD/$P/admin.crt, client-key: $PWD/$P/admin.key}}]
contexts: [{name: lab, context: {cluster: lab, user: admin}}]
current-context: lab
Y
for _ in $(seq 90); do $K get --raw /readyz >/dev/null 2>&1 && break; sleep 1; done
bg controller-manager $B/kube-controller-manager --kubeconfig=admin.conf --service-account-private-key-file=$P/sa.key --root-ca-file=$P/ca.crt --bind-address=127.0.0.1 --leader-elect=false
bg scheduler $B/kube-scheduler --kubeconfig=admin.conf --bind-address=127.0.0.1 --leader-elect=false
rm -f run/qmp
# restrict=on: the guest reaches nothing but the API server on this machine's loopback
TMPDIR=$LAB/run bg node qemu-system-x86_64 -accel tcg,thread=multi,tb-size=1024 -cpu "${CPU:-max,la57=off}" -smp 2 -m "$MB" -display none -serial file:run/serial -qmp unix:run/qmp,server,nowait \
  -drive file=node.img,if=virtio,format=raw,cache=unsafe,snapshot=on ${DRIVE:+-drive "file=$DRIVE,if=virtio,format=raw,readonly=on"} \
  -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:$SSH_PORT-:22,hostfwd=tcp:127.0.0.1:10250-:10250,guestfwd=tcp:10.0.2.100:6443-cmd:socat - TCP:127.0.0.1:16443" \
  -kernel vmlinuz -initrd initrd -append "root=/dev/vda rw quiet console=ttyS0 net.ifnames=0 $*"
# a namespace has its default service account some moments later
for _ in $(seq 30); do $K apply -f "${SCENARIO:-$HERE/scenario.yaml}" > run/apply.log 2>&1 && break; sleep 3; done; grep -v unchanged run/apply.log
for _ in $(seq $((${WAIT:-900} / 5))); do
  sleep 5; n=$($K get pods -A --no-headers 2>/dev/null | grep -cE 'Running|Completed' || true)
  if [ "$n" -ge "${WANT:-6}" ]; then $K get pods -A -o wide; exit 0; fi
done
$K get pods -A -o wide; tail -3 run/serial; echo "only $n of ${WANT:-6} pods run after ${WAIT:-900} s" >&2; exit 1
