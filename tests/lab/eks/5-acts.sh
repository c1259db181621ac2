#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What people and intruders did on the node: sessions, debug container, dropped files, NAT, swap, a container outside Kubernetes.
. "$(dirname "$0")/env.sh"; cd "$EKSDIR"
pod() { $K -n $1 get pod -l app=$2 -o jsonpath='{.items[0].metadata.name}'; }
ORD=$(pod shop orders) WEB=$(pod shop web)
# 1 ephemeral container, in the target's pid namespace
$K -n shop debug $ORD --image=docker.io/library/busybox:1.35 --container=debugger --target=orders --profile=general -- sleep 1000000
# 2 interactive bash with history
cat > run/typed <<'Y'
export HISTSIZE=500
whoami; id
head -c 60 /var/run/secrets/eks.amazonaws.com/serviceaccount/token; echo
AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/typedinbash001 env | grep -c AWS
python3 -c 'print("exfil-marker-%d" % (31337*2))'
cd /tmp && echo staged > .stage && rm .stage
Y
python3 "$HERE/typein.py" run/typed $K -n shop exec -it $ORD -c orders -- bash > run/tty1.log 2>&1 & echo $! > run/tty1.pid
printf 'id\ncat /proc/self/uid_map\n' > run/typed2
python3 "$HERE/typein.py" run/typed2 $K -n tools exec -it userns -- bash > run/tty2.log 2>&1 & echo $! > run/tty2.pid
# 3 dropped and deleted files: one that runs, one that is held open, one that nobody holds
$K -n shop exec $WEB -- sh -c 'mkdir -p /var/tmp/.c && cp /usr/bin/sleep /var/tmp/.c/kdevtmpfsi && (setsid /var/tmp/.c/kdevtmpfsi 1000000 >/dev/null 2>&1 &) ; sleep 1; i=0; while [ $i -lt 300 ]; do echo "DROPPED-HELD-OPEN-88aa $i"; i=$((i+1)); done > /var/tmp/.c/loot; (setsid sh -c "exec 9</var/tmp/.c/loot; sleep 2000000" >/dev/null 2>&1 &); sleep 1; i=0; while [ $i -lt 300 ]; do echo "DROPPED-AND-GONE-99bb $i"; i=$((i+1)); done > /var/tmp/.c/gone; echo "STILL-ON-DISK-77cc" > /var/tmp/kept.sh; rm -rf /var/tmp/.c'
# 4 kube-proxy's chains: service address to pod address
OIP=$($K -n shop get pod $ORD -o jsonpath='{.status.podIP}')
nssh "iptables -t nat -N KUBE-SERVICES; iptables -t nat -N KUBE-SVC-ORDERS; iptables -t nat -N KUBE-SEP-ORDERS1; iptables -t nat -A PREROUTING -m comment --comment 'kubernetes service portals' -j KUBE-SERVICES; iptables -t nat -A OUTPUT -j KUBE-SERVICES; iptables -t nat -A KUBE-SERVICES -d 10.100.5.5/32 -p tcp --dport 80 -m comment --comment 'shop/orders cluster IP' -j KUBE-SVC-ORDERS; iptables -t nat -A KUBE-SVC-ORDERS -j KUBE-SEP-ORDERS1; iptables -t nat -A KUBE-SEP-ORDERS1 -p tcp -j DNAT --to-destination $OIP:8080; iptables -t nat -A POSTROUTING -s 10.0.130.0/24 ! -d 10.0.0.0/16 -m comment --comment 'AWS SNAT CHAIN' -j SNAT --to-source 10.0.2.15; iptables -t nat -S | grep -c KUBE"
$K -n shop exec $WEB -- sh -c '(setsid python3 -c "import socket,time; s=socket.create_connection((\"10.100.5.5\",80)); s.recv(100); time.sleep(1e6)" >/dev/null 2>&1 &); sleep 3'
# 5 a privileged pod steps onto the node
$K -n tools exec root-shell -- nsenter -t 1 -m -u -i -n -p -- /bin/sh -c '(setsid /bin/sh -c "while true; do sleep 3600; done" hostescape >/dev/null 2>&1 &) ; sleep 1'
# 6 a memfd program in the user-namespaced pod
$K -n tools exec userns -- sh -c '(setsid python3 -c "
import os
f=os.memfd_create(\"u\",0)
os.write(f,open(\"/usr/bin/sleep\",\"rb\").read())
os.execve(\"/proc/self/fd/%d\"%f,[\"[kworker/0:1]\",\"999999\"],{\"LOOT\":\"AKIAIOSFODNN7EXAMPLE\"})" >/dev/null 2>&1 &); sleep 2'
# 7 a container in a containerd namespace of its own
nssh 'ctr -n k8s.io images export /root/bb.tar docker.io/library/busybox:1.35 >/dev/null && ctr -n lurk images import /root/bb.tar >/dev/null && rm /root/bb.tar; ctr -n lurk run -d --null-io --runc-systemd-cgroup --cgroup system.slice:runc:sysupd docker.io/library/busybox:1.35 updater-01 /bin/sh -c "while true; do sleep 1000; done"; ctr -n lurk tasks ls'
# 8 most of the ledger's memory goes to zram
V=$($K -n payments get pod vault-0 -o jsonpath='{.metadata.uid}' | tr - _)
nssh "cd /sys/fs/cgroup/kubepods.slice/*/kubepods*pod$V.slice && for d in cri-*/; do [ \$(cat \$d/memory.current) -gt 60000000 ] && cat \$d/memory.swap.max && echo max > \$d/memory.swap.max && { echo 120M > \$d/memory.reclaim; cat \$d/memory.swap.current; }; done; cat /proc/swaps"
# no pod comes or goes between the records of the node, its RAM and the API
$K -n payments patch cronjob report -p '{"spec":{"suspend":true}}'
sleep 40; tail -n 3 run/tty1.log run/tty2.log
