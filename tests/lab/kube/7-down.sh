#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ends what 4-up.sh started, by its pids.
. "$(dirname "$0")/env.sh"; cd "$LAB/run" || exit 1
for p in exec fifo node scheduler controller-manager apiserver etcd; do
  [ -f $p.pid ] || continue
  pid=$(cat $p.pid); kill "$pid" 2>/dev/null
  for _ in $(seq 20); do kill -0 "$pid" 2>/dev/null || break; sleep 0.5; done
  kill -9 "$pid" 2>/dev/null; rm -f $p.pid
done; true
