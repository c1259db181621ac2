#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# build-initrd.sh KVER_DIR OUT [SPEC_DIR]: pack busybox, the pod maker, the fake services and the modules for one kernel;
# SPEC_DIR: scenario.sh and spec/ of other pods than the three plain ones
set -eu
M=${M:-${HOME}/.cache/memir-lab/small}; K=$M/k/$1; OUT=$2; SPEC=${3:-}; W=$(mktemp -d $M/ird.XXXX); SRC=$(dirname "$(readlink -f "$0")")
SECRET=${SECRET:-MEMIR-HEAP-SECRET-7f3a91c2e5d84b06}
X=$(printf %s "$SECRET" | python3 -c 'import sys;print("".join(f"{ord(c)^0x5a}," for c in sys.stdin.read()))')
P=$(printf %s stratum+tcp://pool.minexmr.example:4444 | python3 -c 'import sys;print("".join(f"{ord(c)^0x5a}," for c in sys.stdin.read()))')
mkdir -p $M/bin; for p in mkpod truth enter; do gcc -O2 -static -w -o $M/bin/$p $SRC/$p.c; done
gcc -O2 -static -w -pthread "-DSECRET_X=$X" "-DPOOL_X=$P" -o $M/bin/apps $SRC/apps.c; strip $M/bin/*
mkdir -p $W/{bin,etc,usr/bin,app,lib,layers/pause,layers/base/{bin,etc},layers/app/app,dev}
cp $M/bb/bin/busybox $W/bin/; ln -s busybox $W/bin/sh; cp $M/bin/{mkpod,truth,enter} $W/bin/
for s in containerd kubelet containerd-shim-runc-v2; do cp $M/bin/apps $W/usr/bin/$s; done
cp $M/bin/apps $W/layers/pause/pause
cp $M/bb/bin/busybox $W/layers/base/bin/; for a in sh sleep cat ls nc; do ln -s busybox $W/layers/base/bin/$a; done
echo 'ID=memir-base' > $W/layers/base/etc/os-release
for s in server client secretd dropper memfdrun entry api; do cp $M/bin/apps $W/layers/app/app/$s; done
: > $W/lib/modules.list
for m in ${MODS:-overlay veth}; do
  f=$(find $K -name "$m.ko*" | head -1); [ -n "$f" ] || { echo "no $m"; continue; }
  case $f in *.xz) xz -dc $f > $W/lib/$m.ko;; *.zst) zstd -qdc $f > $W/lib/$m.ko;; *) cp $f $W/lib/$m.ko;; esac
  echo $m.ko >> $W/lib/modules.list
done
[ -z "$SPEC" ] || cp -r $SPEC/. $W/
cp $SRC/init $SRC/init2 $W/; chmod +x $W/init $W/init2
(cd $W && find . | cpio -o -H newc --quiet | gzip -1 > $OUT); rm -rf $W; ls -la $OUT
