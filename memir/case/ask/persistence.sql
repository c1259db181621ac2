-- SPDX-License-Identifier: Apache-2.0
-- 27. What would start again: cron, units, keys, static pods, profile scripts, preloads?
-- tables: inodes
select coalesce(node_path, path) as path, namespace, pod_name, container_name, change, mtime as modified, btime as created, size, sha256
from inodes
where kind = 'regular' and regexp_matches(coalesce(container_path, node_path, path),
    '/(etc|var/spool)/cron|/etc/(systemd|init\.d|rc\.local|profile|ld\.so\.preload|kubernetes/manifests|modules-load\.d|udev/rules\.d)|/\.ssh/authorized_keys|/\.(bashrc|profile|bash_profile)$|^/run/systemd/(system|transient)/.*\.(service|timer)$')
order by change is null, mtime desc nulls last
