#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A GPT disk with one XFS partition, filled through a loop device (mkfs.xfs has no -d).
set -e; . "$(dirname "$0")/env.sh"; cd "$EKSDIR"; I=node.img
rm -f $I; truncate -s 6G $I; printf 'label: gpt\nstart=2048, type=linux, name="Linux"\n' | sfdisk -q $I
L=$(losetup -f --show -o $((2048*512)) --sizelimit $(((6*1024-2)*1024*1024)) $I); trap 'umount mnt 2>/dev/null; losetup -d $L 2>/dev/null' EXIT
mkfs.xfs -q -f -L / $L; mkdir -p mnt; mount $L mnt; cp -a root/. mnt/; df -h mnt; umount mnt; losetup -d $L; trap - EXIT
ls -las $I
