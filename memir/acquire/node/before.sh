# SPDX-License-Identifier: Apache-2.0
# What the node says just before the capture. In: BULK=0. Out: "name base64" lines (see collect.py).
emit() { printf '%s ' "$1"; base64 | tr -d '\n'; echo; }
first() { head -c 33554432 "$1" 2>/dev/null | emit "$2"; }
state() {
  date -u +%Y-%m-%dT%H:%M:%S.%NZ | emit "$1/date"
  first /proc/uptime "$1/uptime"
  first /proc/self/mountinfo "$1/mountinfo"
  cat /proc/[0-9]*/stat 2>/dev/null | emit "$1/processes.stat"
  grep -HE '^(Name|PPid|Uid|NSpid|CapEff|Seccomp):' /proc/[0-9]*/status 2>/dev/null | emit "$1/processes.status"
  grep -aH '' /proc/[0-9]*/cmdline 2>/dev/null | emit "$1/processes.cmdline"
  grep -H '' /proc/[0-9]*/cgroup 2>/dev/null | emit "$1/processes.cgroup"
  ls -l /proc/[0-9]*/exe 2>/dev/null | emit "$1/processes.exe"
  ls -l /proc/[0-9]*/ns 2>/dev/null | emit "$1/processes.ns"
  first /proc/modules "$1/modules"
}
