#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A second state of the same node (image eks2): no native snapshotter, but a node debug pod that did `chroot /host`; a pod that is being deleted.
. "$(dirname "$0")/env.sh"; cd "$EKSDIR"
$K -n tools delete pod native --grace-period=1 --wait=true
$K debug node/$NODE --image=docker.io/library/busybox:1.35 --profile=sysadmin -n tools -- busybox chroot /host /bin/sh -c 'while true; do sleep 900; done'
$K -n payments delete pod fixed --grace-period=1800 --wait=false
sleep 40; $K get pods -A | grep -E 'debug|fixed|native'
