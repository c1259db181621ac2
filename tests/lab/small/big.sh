#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# big.sh OUT KDIR GIB [words for big.c]: boot a node with GIB of RAM in emulation; the RAM is the sparse file OUT itself
set -eu
M=${M:-${HOME}/.cache/memir-lab/small}; OUT=$1; K=$M/k/$2; GIB=$3; shift 3; SRC=$(dirname "$(readlink -f "$0")")
V=$(find "$K" -name 'vmlinuz*' -type f | head -1); W=$(mktemp -d "$M/big.XXXX"); trap 'rm -rf "$W"' EXIT
gcc -O2 -static -w -o "$W/init" "$SRC/big.c"; mkdir "$W/root"; mv "$W/init" "$W/root/init"
(cd "$W/root" && find . | cpio -o -H newc --quiet | gzip -1 >"$W/initrd.gz")
rm -f "$OUT"; truncate -s "${GIB}G" "$OUT"
qemu-system-x86_64 -accel tcg,thread=multi,tb-size=256 -cpu max,la57=off -smp 2 -m "${GIB}G" -machine memory-backend=ram \
  -object "memory-backend-file,id=ram,size=${GIB}G,mem-path=$OUT,share=on" -display none -nic none -no-reboot \
  -serial "file:$W/serial" -qmp "unix:$W/qmp,server,nowait" -kernel "$V" -initrd "$W/initrd.gz" \
  -append "console=ttyS0 panic=-1 loglevel=4 rdinit=/init no_timer_check -- $*" & Q=$!
for _ in $(seq "${WAIT:-900}"); do grep -q '^@READY' "$W/serial" 2>/dev/null && break; kill -0 $Q 2>/dev/null || break; sleep 1; done
tr -d '\r' <"$W/serial" | grep -a '^@READY\|FAILED' || { tail -5 "$W/serial"; kill $Q; exit 1; }
sleep 3; kill $Q; wait $Q 2>/dev/null || true
# QEMU's file has no hole where devices lie: put one in, so that an offset is an address, as in a capture
if [ "$GIB" -gt 3 ]; then fallocate --insert-range --offset 3GiB --length 1GiB "$OUT"; fi
