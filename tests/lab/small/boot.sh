#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# boot.sh NAME KDIR MEM_MB CPU "extra cmdline": boot under TCG, wait for @READY, stop, pmemsave, split out truth
# DISK=FILE: with this raw disk, as /dev/nvme0n1
# PORT=1: with a virtio-serial port, and stopped when what comes from it ends (frames.c): $M/NAME.frames
set -u
M=${M:-${HOME}/.cache/memir-lab/small}; N=$1; K=$M/k/$2; MB=$3; CPU=$4; X=${5:-}; SRC=$(dirname "$(readlink -f "$0")")
V=$(find $K -name 'vmlinuz*' -type f | head -1); D=$M/run/$N; rm -rf $D; mkdir -p $D
I=$M/run/$N/initrd.gz; bash $SRC/build-initrd.sh $2 $I ${SPEC:-}
T0=$(date +%s); P=; [ -z "${PORT:-}" ] || P="-device virtio-serial-pci -chardev file,id=port,path=$D/frames -device virtserialport,chardev=port"
[ -z "${DISK:-}" ] || P="$P -drive file=$DISK,if=none,id=disk,format=raw -device nvme,drive=disk,serial=memir"
qemu-system-x86_64 -accel tcg,thread=multi,tb-size=256 -cpu $CPU -smp 2 -m $MB -display none -nic none $P -no-reboot -serial file:$D/serial -qmp unix:$D/qmp,server,nowait \
  -kernel $V -initrd $I -rtc base=2026-11-20T10:00:00 -append "console=ttyS0 panic=-1 loglevel=4 rdinit=/init $X" 2>$D/qemu.err & Q=$!
for i in $(seq ${WAIT:-240}); do grep -q '^@READY' $D/serial 2>/dev/null && break; kill -0 $Q 2>/dev/null || break; sleep 1; done
if ! grep -q '^@READY' $D/serial; then echo "$N: NOT READY after $(( $(date +%s)-T0 ))s"; tail -5 $D/serial; kill $Q 2>/dev/null; exit 1; fi
T1=$(date +%s)
if [ -z "${PORT:-}" ]; then sleep 3; else until tail -c 16 $D/frames | grep -qa memir-frames-end; do sleep 0.05; kill -0 $Q || exit 1; done; fi
python3 $SRC/qmp.py $D/qmp $M/$N.raw $MB >/dev/null; T2=$(date +%s)
kill $Q; wait $Q 2>/dev/null
{ echo "# $N kernel-dir $2, $MB MiB, cpu $CPU, cmdline '$X'"; echo "@SECRET {\"heap_secret\":\"MEMIR-HEAP-SECRET-7f3a91c2e5d84b06\",\"rwx\":\"MEMIR-RWX-REGION\"}"; tr -d '\r' <$D/serial | sed -nE '/^@(POD|CONTAINER|ENDED|TOLD|HELD)/p'; tr -d '\r' <$D/serial | sed -n '/^@BEGIN/,/^@READY/p'; } > $M/$N.truth.txt
[ -z "${PORT:-}" ] || cp $D/frames $M/$N.frames
echo "$N: ready+save in $((T1-T0))+$((T2-T1))s; containers $(grep -c ^@POD $M/$N.truth.txt), procs $(grep -c ^@PROC $M/$N.truth.txt)"
