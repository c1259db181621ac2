#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The node tree: a copy of the lab's root with a 6.12 kernel, made EKS-shaped after nodeadm (AL2023), and its container images.
set -e; . "$(dirname "$0")/env.sh"; cd "$EKSDIR"; R=$EKSDIR/root
V=$(cat root.kver)
install -m 755 bin/containerd bin/containerd-shim-runc-v2 bin/ctr $R/usr/bin/; install -m 755 bin/runc $R/usr/sbin/runc
mkdir -p $R/root/.ssh $R/etc/containerd $R/etc/cni/net.d $R/opt/cni $R/etc/kubernetes/{manifests,pki,kubelet} $R/var/lib/kubelet $R/opt/images $R/var/run/aws-node $R/etc/eks
cp key.pub $R/root/.ssh/authorized_keys; chmod 700 $R/root/.ssh
echo $NODE > $R/etc/hostname; printf '127.0.0.1 localhost %s\n10.0.2.100 control-plane\n' $NODE > $R/etc/hosts
printf '[Match]\nName=eth0\n[Network]\nDHCP=yes\n' > $R/etc/systemd/network/10.network
# the pod identity agent's address
printf '[NetDev]\nName=pod-id-link0\nKind=dummy\n' > $R/etc/systemd/network/20-podid.netdev
printf '[Match]\nName=pod-id-link0\n[Network]\nAddress=169.254.170.23/32\n' > $R/etc/systemd/network/20-podid.network
printf 'overlay\nbr_netfilter\nnf_conntrack\nzram\ndummy\n' > $R/etc/modules-load.d/k8s.conf
printf 'net.ipv4.ip_forward=1\nnet.bridge.bridge-nf-call-iptables=1\nnet.netfilter.nf_conntrack_acct=1\n' > $R/etc/sysctl.d/k8s.conf
ln -sfn /usr/lib/cni $R/opt/cni/bin
cat > $R/etc/containerd/config.toml <<Y
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[plugins.'io.containerd.cri.v1.images']
discard_unpacked_layers = true
[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "localhost/kubernetes/pause:latest"
[plugins.'io.containerd.cri.v1.images'.registry]
config_path = "/etc/containerd/certs.d:/etc/docker/certs.d"
[plugins.'io.containerd.cri.v1.runtime']
enable_cdi = true
[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "/usr/sbin/runc"
SystemdCgroup = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.native]
runtime_type = "io.containerd.runc.v2"
snapshotter = "native"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.native.options]
BinaryName = "/usr/sbin/runc"
SystemdCgroup = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"
Y
# a veth and a host route for each pod, no bridge, as the VPC CNI does
cat > $R/etc/cni/net.d/10-aws.conflist <<Y
{"cniVersion":"1.0.0","name":"aws-cni","plugins":[{"type":"ptp","mtu":9001,"ipMasq":false,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.0.130.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"portmap","capabilities":{"portMappings":true},"snat":true}]}
Y
cp "$LAB/k8s/kubelet" $R/usr/bin/kubelet; rm -f $R/usr/local/bin/kubelet
cp "$LAB"/pki/ca.crt "$LAB"/pki/kubelet.crt "$LAB"/pki/kubelet.key $R/etc/kubernetes/pki/
cat > $R/etc/kubernetes/kubelet/config.json <<Y
{"kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1","address":"0.0.0.0",
"authentication":{"x509":{"clientCAFile":"/etc/kubernetes/pki/ca.crt"},"webhook":{"enabled":false},"anonymous":{"enabled":true}},"authorization":{"mode":"AlwaysAllow"},
"clusterDomain":"cluster.local","clusterDNS":["10.100.0.10"],"containerRuntimeEndpoint":"unix:///run/containerd/containerd.sock","cgroupDriver":"systemd","cgroupRoot":"/",
"staticPodPath":"/etc/kubernetes/manifests","providerID":"aws:///eu-west-1a/i-0abc1234def567890","maxPods":110,"serializeImagePulls":false,"serverTLSBootstrap":false,
"failSwapOn":false,"memorySwap":{"swapBehavior":"LimitedSwap"},"systemReservedCgroup":"/system","kubeReservedCgroup":"/runtime","imageGCHighThresholdPercent":100,
"evictionHard":{"memory.available":"10Mi","nodefs.available":"1%","imagefs.available":"1%","nodefs.inodesFree":"1%"},"protectKernelDefaults":false}
Y
cat > $R/etc/kubernetes/kubelet.conf <<Y
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {certificate-authority: /etc/kubernetes/pki/ca.crt, server: "https://control-plane:6443"}}]
users: [{name: node, user: {client-certificate: /etc/kubernetes/pki/kubelet.crt, client-key: /etc/kubernetes/pki/kubelet.key}}]
contexts: [{name: lab, context: {cluster: lab, user: node}}]
current-context: lab
Y
rm -f $R/lib/systemd/system/containerd.service
cat > $R/etc/systemd/system/containerd.service <<Y
[Unit]
After=network.target local-fs.target
[Service]
Slice=runtime.slice
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
LimitNOFILE=infinity
TasksMax=infinity
OOMScoreAdjust=-999
TimeoutStartSec=600
[Install]
WantedBy=multi-user.target
Y
E=602401143452.dkr.ecr.eu-west-1.amazonaws.com
cat > $R/etc/eks/prepare.sh <<Y
#!/bin/sh
# swap on zram, images, further names of images
if [ ! -s /run/zram.done ]; then echo lz4 > /sys/block/zram0/comp_algorithm; echo 512M > /sys/block/zram0/disksize; mkswap /dev/zram0 && swapon -p 100 /dev/zram0; echo 1 > /run/zram.done; fi
[ -s /var/lib/.imported ] && exit 0
for i in /opt/images/*.tar; do ctr -n k8s.io images import \$i || exit 1; done
for t in $E/amazon-k8s-cni:v1.20.4-eksbuild.2 $E/amazon-k8s-cni-init:v1.20.4-eksbuild.2 $E/amazon/aws-network-policy-agent:v1.2.7-eksbuild.1 $E/eks/kube-proxy:v1.34.0-eksbuild.2; do ctr -n k8s.io images tag docker.io/library/busybox:1.35 \$t; done
ctr -n k8s.io images tag registry.example/shop/api:1.4.2 $E/eks/eks-pod-identity-agent:0.1.33
rm -f /opt/images/*.tar; echo 1 > /var/lib/.imported
Y
chmod 755 $R/etc/eks/prepare.sh
cat > $R/etc/systemd/system/kubelet.service <<Y
[Unit]
After=containerd.service network-online.target
Wants=containerd.service
[Service]
Slice=runtime.slice
TimeoutStartSec=900
ExecStartPre=/etc/eks/prepare.sh
ExecStart=/usr/bin/kubelet --node-ip=10.0.2.15 --cloud-provider= --hostname-override=$NODE --config=/etc/kubernetes/kubelet/config.json --kubeconfig=/etc/kubernetes/kubelet.conf --node-labels=eks.amazonaws.com/nodegroup=workers,topology.kubernetes.io/zone=eu-west-1a,node.kubernetes.io/instance-type=m7i.large --v=2
Restart=on-failure
RestartSec=5
KillMode=process
[Install]
WantedBy=multi-user.target
Y
# a static pod
cat > $R/etc/kubernetes/manifests/node-guard.yaml <<Y
apiVersion: v1
kind: Pod
metadata: {name: node-guard, namespace: kube-system, labels: {tier: node}}
spec:
  hostNetwork: true
  priorityClassName: system-node-critical
  containers:
  - {name: guard, image: "docker.io/library/busybox:1.35", imagePullPolicy: Never, command: [sh, -c, "while true; do date > /state/beat; sleep 30; done"], env: [{name: GUARD_KEY, value: static-pod-secret-4411}], volumeMounts: [{name: state, mountPath: /state}]}
  volumes: [{name: state, hostPath: {path: /var/lib/node-guard, type: DirectoryOrCreate}}]
Y
# initramfs with XFS and NVMe
for m in xfs nvme; do grep -qx $m $R/etc/initramfs-tools/modules || echo $m >> $R/etc/initramfs-tools/modules; done
mount -t proc proc $R/proc; chroot $R update-initramfs -u -k $V > run/initramfs.log 2>&1 || { umount $R/proc; exit 1; }
chroot $R systemctl enable systemd-networkd ssh containerd kubelet >/dev/null 2>&1; umount $R/proc
cp $R/boot/vmlinuz-$V vmlinuz; cp $R/boot/initrd.img-$V initrd
# images
[ -d nodejs ] || debootstrap --variant=minbase --include=nodejs bookworm nodejs > run/nodejs.log 2>&1
rm -rf nodejs/var/cache/apt/* nodejs/var/lib/apt/lists/* nodejs/usr/share/{doc,man,locale,info}
mkdir -p l-js/srv; cat > l-js/srv/app.js <<'Y'
// a session store: heap strings and typed arrays
const http = require('http');
const sessions = new Map();
for (let i = 0; i < 2000; i++) sessions.set('sid-' + i, {user: 'user' + i + '@example.com', jwt: 'eyJhbGciOiJIUzI1NiJ9.node-session-' + i});
const key = Buffer.from('NODEJS-HEAP-KEY-77c1e0-' + process.env.SESSION_KEY);
http.createServer((q, r) => { r.end('ok ' + sessions.size + key.length); }).listen(3000);
Y
for a in ip stty vi sync od xxd; do ln -sfn busybox l-bb/bin/$a; done
rm -f images/*.tar
python3 "$UP/mkoci.py" images/pause.tar localhost/kubernetes/pause:latest /pause l-pause
python3 "$UP/mkoci.py" images/busybox.tar docker.io/library/busybox:1.35 /bin/sh l-bb
python3 "$UP/mkoci.py" images/shop.tar registry.example/shop/api:1.4.2 python3 web l-app
python3 "$UP/mkoci.py" images/nginx.tar registry.example/shop/web:2.0.1 "nginx -g 'daemon off;'" web
python3 "$UP/mkoci.py" images/js.tar registry.example/shop/session:3.1.0 "node /srv/app.js" nodejs l-js
rm -f $R/opt/images/*; cp images/*.tar $R/opt/images/; ls -la images
