#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Host packages (root).
set -e
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq qemu-system-x86 debootstrap e2fsprogs zstd jq socat openssl openssh-client busybox-static gcc musl-tools >/dev/null
grep -q ec2.internal /etc/hosts || echo '127.0.0.1 ip-10-0-1-23.ec2.internal' >> /etc/hosts
