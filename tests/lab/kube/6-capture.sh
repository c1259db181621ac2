#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# 6-capture.sh OUT MEGABYTES: what the node says of itself, then RAM of the paused node, then what the API says.
set -e; . "$(dirname "$0")/env.sh"; cd "$LAB"; O=$1; mkdir -p "$O"
nssh 'cat > /root/truth.py' < "$HERE/truth.py"
# without its page cache half as much is read and packed
nssh "sync; echo 1 > /proc/sys/vm/drop_caches"
nssh python3 /root/truth.py > "$O/truth.json"
python3 "$HERE/../small/qmp.py" run/qmp "$O/node.raw" "$2"
$K get pods -A -o json > "$O/pods.json"
$K get nodes,namespaces,serviceaccounts,deployments,daemonsets,replicasets,statefulsets,jobs,services,events,networkpolicies,roles,rolebindings,clusterroles,clusterrolebindings -A -o json > "$O/cluster.json"
cp cp/audit.log "$O/audit.log"
