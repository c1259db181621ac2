#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Control plane on loopback, node in emulation (NVMe disk, XFS root), scenario applied; waits until the pods are there.
. "$(dirname "$0")/env.sh"; cd "$EKSDIR"; rm -rf cp run/qmp
export LAB; free_ports || exit 1; nice -n "${NICE:-10}" bash "$HERE/control.sh" "$EKSDIR/cp"
nice -n "${NICE:-10}" qemu-system-x86_64 -accel tcg,thread=multi,tb-size=1024 -cpu "${CPU:-max,la57=off}" -smp 2 -m $MB -display none -serial file:run/serial -qmp unix:run/qmp,server,nowait \
  -drive file=node.img,if=none,id=d0,format=raw,cache=unsafe -device nvme,drive=d0,serial=vol0abc1234def567890 \
  -nic "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22,hostfwd=tcp:127.0.0.1:10250-:10250,guestfwd=tcp:10.0.2.100:6443-cmd:socat - TCP:127.0.0.1:16443" \
  -kernel vmlinuz -initrd initrd -append "root=/dev/nvme0n1p1 rootfstype=xfs rw quiet console=ttyS0 net.ifnames=0 $CMDLINE" > run/qemu.log 2>&1 & echo $! > run/node.pid
for _ in $(seq 30); do $K apply -f "$HERE/scenario.yaml" > run/apply.log 2>&1 && break; sleep 3; done; grep -vE 'created|unchanged' run/apply.log
# WANT pods within WAIT seconds: eight minutes on a quiet machine, more on a busy one
for _ in $(seq $((${WAIT:-1800} / 5))); do
  sleep 5; n=$($K get pods -A --no-headers 2>/dev/null | grep -cE 'Running|Completed')
  if [ "$n" -ge "${WANT:-20}" ]; then $K get pods -A -o wide; exit 0; fi
done
$K get pods -A -o wide; echo "only $n of ${WANT:-20} pods run after ${WAIT:-1800} s" >&2; exit 1
