# SPDX-License-Identifier: Apache-2.0
# Sourced by init2 in place of pods: swap with zswap before it, by each compressor (a kernel with CONFIG_ZSWAP: Debian's
# generic one, not its cloud one). The device behind it is zram, which has what zswap refuses.
# Kernel and modules of linux-image-amd64 in $M/k/6.1, holder.c compiled into $SPEC/bin, this file as $SPEC/scenario.sh:
# MODS="overlay veth zsmalloc z3fold zram lz4_compress lz4 zstd_compress zstd" boot.sh s-6.1-zswap 6.1 160 max,la57=off init_on_free=1
# (6.12: MODS="overlay veth z3fold lz4_compress lz4hc_compress zram lz4 zstd", 192 MiB); samples/s-6.1-zswap: thin.py ... vmas
busybox mount -t debugfs debugfs /sys/kernel/debug
Z=/sys/block/zram0; echo 48M > $Z/disksize; busybox mknod /dev/zram0 b $(busybox cat $Z/dev | busybox tr : ' ') 2>/dev/null
busybox mkswap /dev/zram0 >/dev/null; /bin/holder swapon /dev/zram0 10
P=/sys/module/zswap/parameters; echo 40 > $P/max_pool_percent; echo 1 > $P/enabled
for how in lzo:zbud lz4:zsmalloc zstd:z3fold; do
  echo ${how#*:} > $P/zpool; echo ${how%:*} > $P/compressor
  echo "@NOTE asked $how: $(busybox cat $P/compressor) $(busybox cat $P/zpool)"
  LONG=$(busybox seq -s , 1 3000)
  env -i MEMIR_A=${how%:*}-first-word MEMIR_LONG=$LONG MEMIR_Z=${how%:*}-last-word /bin/holder swap ${how%:*} 512 &
  busybox sleep 4
done
busybox grep . /proc/swaps /sys/kernel/debug/zswap/* $P/* $Z/mm_stat
echo "@READY"
while :; do read x; done
