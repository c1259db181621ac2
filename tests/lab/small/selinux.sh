# SPDX-License-Identifier: Apache-2.0
# Sourced by init2 in place of pods: SELinux with a policy of its own (policy.py), and processes with containers' labels.
# The policy lies in $SPEC/bin, this file is $SPEC/scenario.sh; boot.sh s-6.1-selinux 6.1 128 max,la57=off "init_on_free=1 security=selinux"
# (Debian's generic or cloud kernel); samples/s-6.1-selinux: thin.py ... processes
busybox mount -t selinuxfs selinuxfs /sys/fs/selinux || echo "@NOTE no selinuxfs"
busybox dd if=/bin/policy of=/sys/fs/selinux/load bs=4M 2>&1
labelled() { # context: a process that has it
  ( echo -n "$1" > /proc/self/attr/current && exec busybox sleep 1000000 ) &
}
labelled system_u:system_r:container_t:s0:c12,c345
labelled system_u:system_r:container_t:s0:c0.c3,c7,c1023
labelled system_u:system_r:spc_t:s0
labelled system_u:system_r:container_runtime_t:s0-s0:c0.c1023
labelled system_u:system_r:container_t:s0:c12,c345
busybox sleep 2
echo "@NOTE enforce $(busybox cat /sys/fs/selinux/enforce) policyvers $(busybox cat /sys/fs/selinux/policyvers)"
for p in /proc/[0-9]*; do
  echo "@LABEL {\"pid\":${p#/proc/},\"comm\":\"$(busybox cat $p/comm)\",\"label\":\"$(busybox cat $p/attr/current | busybox tr -d '\000')\"}"
done
echo "@READY"
while :; do read x; done
