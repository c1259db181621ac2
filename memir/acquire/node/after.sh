# SPDX-License-Identifier: Apache-2.0
# What analysis and court need beside the image; after the capture, since none of it changes much.
first /proc/iomem iomem
first /proc/version version
first /proc/cmdline cmdline
first /proc/kallsyms kallsyms
first /proc/stat stat
first /proc/meminfo meminfo
first /proc/sys/kernel/tainted tainted
first /proc/sys/kernel/random/boot_id boot_id
first /sys/kernel/vmcoreinfo vmcoreinfo
head -c 65536 /proc/kcore 2>/dev/null | emit kcore.headers
first /etc/os-release os-release
first /etc/machine-id machine-id
for file in /sys/kernel/btf/*; do
  [ -f "$file" ] && first "$file" "btf/${file##*/}"
done
for base in /run/containerd/io.containerd.runtime.v2.task /run/crio /run/docker/runtime-runc; do
  [ -d "$base" ] && ls -laR "$base" 2>/dev/null | head -c 4194304
done | emit runtime/listing
for file in /run/containerd/io.containerd.runtime.v2.task/*/*/config.json; do
  [ -f "$file" ] && printf '\n== %s\n' "$file" && head -c 1048576 "$file"
done 2>/dev/null | head -c 33554432 | emit runtime/oci-configs
for file in /run/containerd/runc/*/*/state.json /run/runc/*/state.json; do
  [ -f "$file" ] && printf '\n== %s\n' "$file" && head -c 1048576 "$file"
done 2>/dev/null | head -c 33554432 | emit runtime/states
ls -la /var/lib/kubelet/pods /var/log/pods 2>/dev/null | emit kubelet/pods
for file in /etc/kubernetes/manifests/*.yaml; do
  [ -f "$file" ] && printf '\n== %s\n' "$file" && head -c 1048576 "$file"
done 2>/dev/null | emit kubelet/static-pods
if command -v curl >/dev/null 2>&1; then
  imds=http://169.254.169.254/latest
  token=$(curl -sf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$imds/api/token" 2>/dev/null)
  if [ -n "$token" ]; then
    printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" |
      curl -sf -m 2 -K - "$imds/dynamic/instance-identity/document" | emit instance-identity.json
    printf 'header = "X-aws-ec2-metadata-token: %s"\n' "$token" |
      curl -sf -m 2 -K - "$imds/dynamic/instance-identity/rsa2048" | emit instance-identity.rsa2048
  fi
fi
