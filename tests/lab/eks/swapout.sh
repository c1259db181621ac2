# SPDX-License-Identifier: Apache-2.0
# on the node, between truth and dump: the memory of idle containers goes to zram, arguments and environments too
for c in $(ls -d /sys/fs/cgroup/kubepods.slice/kubepods*/kubepods*pod*.slice/cri-*.scope); do
  [ "$(cat $c/memory.current)" -gt 300000 ] || continue
  echo max > $c/memory.swap.max; for i in 1 2 3; do echo 64M > $c/memory.reclaim; done
done 2>/dev/null
cat /proc/swaps; for p in $(pgrep -f 'sleep 600|nginx|node |python3'); do echo $p $(cat /proc/$p/comm) $(grep VmSwap /proc/$p/status); done
