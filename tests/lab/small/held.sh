# SPDX-License-Identifier: Apache-2.0
# Sourced by init2 in place of pods (tests/lab/held.py): swap on zram by each compressor, and what is held without an fd.
DISK=0
for how in lzo-rle lz4 zstd; do
  Z=/sys/block/zram$DISK
  [ -d $Z ] || busybox cat /sys/class/zram-control/hot_add >/dev/null
  busybox grep -q -w -e "$how" $Z/comp_algorithm 2>/dev/null || { echo "@NOTE $how: not in this kernel"; continue; }
  echo $how > $Z/comp_algorithm; echo 16M > $Z/disksize
  busybox mknod /dev/zram$DISK b $(busybox cat $Z/dev | busybox tr : ' ') 2>/dev/null
  busybox mkswap /dev/zram$DISK >/dev/null; /bin/holder swapon /dev/zram$DISK $((10 + DISK))
  # the newest device has the highest priority, so that what is swapped out now goes there
  LONG=$(busybox seq -s , 1 3000)
  env -i MEMIR_A=$how-first-word MEMIR_LONG=$LONG MEMIR_Z=$how-last-word /bin/holder swap $how 512 &
  busybox sleep 3
  DISK=$((DISK + 1))
done
busybox mount -t tmpfs tmpfs /tmp
busybox grep . /proc/swaps
echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range
for what in flight uring requests vsock ping; do /bin/holder $what & done
busybox cp /bin/holder /tmp/updater; /tmp/updater replaced &
busybox cp /bin/holder /tmp/holder2; ( exec -a sshd: /tmp/holder2 renamed ) 2>&1 || /tmp/holder2 renamed &
busybox sleep 4
