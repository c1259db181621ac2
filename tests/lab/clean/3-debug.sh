#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A person looks into a pod with `kubectl debug`: the session is open, its standard input too, until ../kube/7-down.sh.
set -e; . "$(dirname "$0")/env.sh"; cd "$LAB"
POD=$($K -n storefront get pod -l app=catalog -o jsonpath='{.items[0].metadata.name}')
[ -p run/fifo ] || mkfifo run/fifo
nohup sleep 100000 > run/fifo 2>/dev/null & echo $! > run/fifo.pid
nohup $K -n storefront debug -i "$POD" --image=docker.io/library/busybox:1.35 --container=debugger --target=catalog --profile=general -- sh < run/fifo > run/debug.log 2>&1 & echo $! > run/exec.pid
for _ in $(seq 90); do
  [ -z "$($K -n storefront get pod "$POD" -o jsonpath='{.status.ephemeralContainerStatuses[0].state.running.startedAt}')" ] || break; sleep 2
done
sleep 5; printf 'ps\ncat /proc/1/cmdline\nwget -qO- http://127.0.0.1:8080/healthz\n' > run/fifo
for _ in $(seq 60); do grep -q 'ok /healthz' run/debug.log && exit 0; sleep 2; done
cat run/debug.log >&2; echo "the debug session did not answer" >&2; exit 1
