#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The scenario of s-6.1-live: a node and a pod on which processes start and end all the time. boot.sh with SPEC a folder that has
# it as scenario.sh and no init_on_free; then live.py in the place of qmp.py, and `python -m tests.lab.thin`.
churn() { while :; do busybox sleep 1 & busybox sleep 3 & busybox sleep 7 & busybox cat /proc/self/maps >/dev/null; busybox ls -R /sys/class >/dev/null; busybox usleep 150000; done; }
churn </dev/null >/dev/null 2>&1 &
PA=aaaaaaaa-1111-4111-8111-0123456789ab; PB=bbbbbbbb-2222-4222-8222-0123456789ab
id() { busybox printf %s "memir-$1" | busybox sha256sum | busybox cut -c1-64; }
us() { echo $1 | busybox tr - _; }
SH=system.slice/containerd.service
pause() { echo "++ id=$(id $1-pause) name=pause snap=$2 lower=$S/1/fs user=65535 caps=def cmd /pause"; }
mkpod pod=web-7d4b9c6f5-abcde ns=shop uid=$PA ip=10.0.1.101 cgver=$V shimcg=$SH cgp=kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod$(us $PA).slice pfx=cri-containerd- sfx=.scope \
  $(pause A 10) ++ id=$(id A-web) name=web snap=11 lower=$S/3/fs:$S/2/fs user=1000 cmd /app/server 8080 ++ id=$(id A-sidecar) name=sidecar snap=12 lower=$S/3/fs:$S/2/fs user=0 cmd /app/client 127.0.0.1 8080 || echo "POD A FAILED"
mkpod pod=batch-0 ns=dev uid=$PB ip=10.0.1.102 cgver=$V shimcg=$SH cgp=kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod$(us $PB).slice pfx=cri-containerd- sfx=.scope \
  $(pause B 20) ++ id=$(id B-batch) name=batch snap=21 lower=$S/3/fs:$S/2/fs user=0 cmd /bin/sh -c "while :; do sleep 2 & sleep 5 & ls / >/dev/null; sleep 0.3; done" || echo "POD B FAILED"
