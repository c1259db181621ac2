#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 6-capture.sh NAME: truth from /proc, RAM of the paused node, the API's view.
. "$(dirname "$0")/env.sh"; cd "$EKSDIR"; O=${HELD}/$1; mkdir -p "$O"
nssh 'cat > /root/truth.py' < "$UP/truth.py"; nssh 'cat > /root/extra.py' < "$HERE/extra.py"
nssh 'cat /proc/kallsyms' > "$O/kallsyms"; nssh 'cat /sys/kernel/btf/vmlinux' > "$O/btf"
nssh python3 /root/extra.py > "$O/extra.json"; nssh python3 /root/truth.py > "$O/truth.json"
# BEFORE_DUMP: a script for the node, after the truth (reading /proc would bring swapped pages back)
[ -z "$BEFORE_DUMP" ] || nssh bash -s < "$HERE/$BEFORE_DUMP" > "$O/before.txt"
python3 "$UP/../small/qmp.py" run/qmp "$O/node.raw" "$MB" cont
$K get pods -A -o json > "$O/pods.json"
$K get nodes,namespaces,serviceaccounts,deployments,daemonsets,replicasets,statefulsets,jobs,cronjobs,services,events,networkpolicies,roles,rolebindings,clusterroles,clusterrolebindings -A -o json > "$O/cluster.json"
cp cp/audit.log "$O/audit.log"; ls -la "$O"
