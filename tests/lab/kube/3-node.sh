#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The node's root file system, PKI and container images: about 4 minutes.
set -e; . "$(dirname "$0")/env.sh"; cd "$LAB"
R=root-bookworm
[ -d $R ] || debootstrap --variant=minbase --include=systemd,systemd-sysv,udev,dbus,openssh-server,containerd,runc,iproute2,procps,kmod,ca-certificates,curl,python3,iptables,containernetworking-plugins,zstd,socat,conntrack,nftables,linux-image-cloud-amd64 bookworm $R > $R.log 2>&1
[ -f key ] || ssh-keygen -q -t ed25519 -N '' -f key
cd pki
if [ ! -f ca.key ]; then
  openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 3650 -subj "/CN=kubernetes" 2>/dev/null
  mk() { openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj "$2" 2>/dev/null
         openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $1.crt -days 3650 -extfile <(printf "subjectAltName=$3") 2>/dev/null; }
  mk apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:control-plane,DNS:localhost,IP:127.0.0.1,IP:10.100.0.1"
  mk kubelet "/O=system:nodes/CN=system:node:$NODE" "DNS:$NODE"
  mk admin "/O=system:masters/CN=kubernetes-admin" "DNS:admin"
  openssl genrsa -out sa.key 2048 2>/dev/null; openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
fi
cd ..
printf '#include <unistd.h>\nint main(){for(;;)pause();}\n' > pause.c; gcc -static -O2 -o pause pause.c
rm -rf l-pause l-bb; mkdir -p l-pause l-bb/{bin,tmp,etc,proc,root}; cp pause l-pause/pause; cp /bin/busybox l-bb/bin/
for a in sh sleep httpd nc cat ls cp rm mv echo ps wget head tail base64 find grep sed awk mkdir chmod tar dd kill env id mount touch nsenter; do ln -sf busybox l-bb/bin/$a; done
echo root:x:0:0:root:/root:/bin/sh > l-bb/etc/passwd
[ -d web ] || debootstrap --variant=minbase --include=nginx-light,python3-minimal,procps bookworm web > web.log 2>&1
rm -rf web/var/cache/apt/* web/var/lib/apt/lists/* web/usr/share/{doc,man,locale,info}
mkdir -p l-app/etc/shop; echo 'listen=8080' > l-app/etc/shop/app.conf
python3 $HERE/mkoci.py images/pause.tar registry.k8s.io/pause:3.10 /pause l-pause
python3 $HERE/mkoci.py images/busybox.tar docker.io/library/busybox:1.35 /bin/sh l-bb
python3 $HERE/mkoci.py images/shop.tar registry.example/shop/api:1.4.2 python3 web l-app
python3 $HERE/mkoci.py images/nginx.tar registry.example/shop/web:2.0.1 "nginx -g 'daemon off;'" web
# the root becomes a node
echo $NODE > $R/etc/hostname
printf '127.0.0.1 localhost %s\n10.0.2.100 control-plane\n' $NODE > $R/etc/hosts
mkdir -p $R/root/.ssh; cp key.pub $R/root/.ssh/authorized_keys; chmod 700 $R/root/.ssh
printf '[Match]\nName=eth0\n[Network]\nDHCP=yes\n' > $R/etc/systemd/network/10.network
printf 'overlay\nbr_netfilter\n' > $R/etc/modules-load.d/k8s.conf
printf 'net.ipv4.ip_forward=1\nnet.bridge.bridge-nf-call-iptables=1\n' > $R/etc/sysctl.d/k8s.conf
mkdir -p $R/etc/containerd $R/etc/cni/net.d $R/etc/kubernetes/{manifests,pki} $R/var/lib/kubelet $R/opt/images
cat > $R/etc/containerd/config.toml <<X
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
X
cat > $R/etc/cni/net.d/10-lab.conflist <<X
{"cniVersion":"0.4.0","name":"lab","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.244.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},{"type":"portmap","capabilities":{"portMappings":true}}]}
X
cp k8s/kubelet $R/usr/local/bin/; cp pki/ca.crt pki/kubelet.crt pki/kubelet.key $R/etc/kubernetes/pki/; cp images/*.tar $R/opt/images/
cat > $R/etc/kubernetes/kubelet.yaml <<X
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
staticPodPath: /etc/kubernetes/manifests
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}, x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}
authorization: {mode: AlwaysAllow}
clusterDNS: [10.100.0.10]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
failSwapOn: false
evictionHard: {memory.available: 10Mi, nodefs.available: 1%, imagefs.available: 1%}
X
cat > $R/etc/kubernetes/kubelet.conf <<X
apiVersion: v1
kind: Config
clusters: [{name: lab, cluster: {certificate-authority: /etc/kubernetes/pki/ca.crt, server: "https://control-plane:6443"}}]
users: [{name: node, user: {client-certificate: /etc/kubernetes/pki/kubelet.crt, client-key: /etc/kubernetes/pki/kubelet.key}}]
contexts: [{name: lab, context: {cluster: lab, user: node}}]
current-context: lab
X
cat > $R/etc/systemd/system/kubelet.service <<X
[Unit]
After=containerd.service network-online.target
[Service]
TimeoutStartSec=600
ExecStartPre=/bin/sh -c 'for i in /opt/images/*.tar; do ctr -n k8s.io images import \$i; done'
ExecStart=/usr/local/bin/kubelet --config=/etc/kubernetes/kubelet.yaml --kubeconfig=/etc/kubernetes/kubelet.conf --node-ip=10.0.2.15 --hostname-override=$NODE --provider-id=aws:///eu-west-1a/i-0abc1234def567890 --v=2
Restart=always
[Install]
WantedBy=multi-user.target
X
chroot $R systemctl enable systemd-networkd ssh containerd kubelet >/dev/null 2>&1
V=$(ls $R/boot | sed -n 's/^vmlinuz-//p' | tail -1); cp $R/boot/vmlinuz-$V vmlinuz; cp $R/boot/initrd.img-$V initrd
rm -f node.img; truncate -s 4G node.img; mkfs.ext4 -q -d $R node.img; ls -la node.img
