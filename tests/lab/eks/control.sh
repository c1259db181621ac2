# SPDX-License-Identifier: Apache-2.0
# control.sh DIR : etcd + kube-apiserver on loopback, with an audit log
set -e
D=$1; mkdir -p $D; P=${LAB:?}/pki; K=$LAB/k8s
cat > $D/audit.yaml <<X
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: ["system:apiserver"]
- level: None
  resources: [{group: "coordination.k8s.io", resources: ["leases"]}]
- level: RequestResponse
  verbs: [create, delete, patch, update]
- level: Metadata
X
$LAB/etcd/etcd --data-dir $D/etcd --listen-client-urls http://127.0.0.1:12379 --advertise-client-urls http://127.0.0.1:12379 --listen-peer-urls http://127.0.0.1:12380 > $D/etcd.log 2>&1 & echo $! > $D/etcd.pid
sleep 2
$K/kube-apiserver --etcd-servers=http://127.0.0.1:12379 --bind-address=127.0.0.1 --secure-port=16443 --advertise-address=10.0.2.2 --tls-cert-file=$P/apiserver.crt --tls-private-key-file=$P/apiserver.key --client-ca-file=$P/ca.crt --kubelet-client-certificate=$P/admin.crt --kubelet-client-key=$P/admin.key --service-account-issuer=https://oidc.eks.eu-west-1.amazonaws.com/id/LAB --service-account-key-file=$P/sa.pub --service-account-signing-key-file=$P/sa.key --service-cluster-ip-range=10.100.0.0/16 --authorization-mode=Node,RBAC --allow-privileged=true --audit-policy-file=$D/audit.yaml --audit-log-path=$D/audit.log --endpoint-reconciler-type=none --kubelet-preferred-address-types=Hostname > $D/api.log 2>&1 & echo $! > $D/api.pid
cat > $D/admin.conf <<X
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {certificate-authority: $P/ca.crt, server: "https://127.0.0.1:16443"}}]
users: [{name: admin, user: {client-certificate: $P/admin.crt, client-key: $P/admin.key}}]
contexts: [{name: lab, context: {cluster: lab, user: admin}}]
current-context: lab
X
for i in $(seq 60); do $K/kubectl --kubeconfig $D/admin.conf get --raw /readyz >/dev/null 2>&1 && break; sleep 1; done
$K/kubectl --kubeconfig $D/admin.conf get --raw /readyz; echo
$K/kube-controller-manager --kubeconfig=$D/admin.conf --service-account-private-key-file=$P/sa.key --root-ca-file=$P/ca.crt --use-service-account-credentials=false --bind-address=127.0.0.1 --leader-elect=false > $D/kcm.log 2>&1 & echo $! > $D/kcm.pid
$K/kube-scheduler --kubeconfig=$D/admin.conf --bind-address=127.0.0.1 --leader-elect=false > $D/sched.log 2>&1 & echo $! > $D/sched.pid
