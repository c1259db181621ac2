-- SPDX-License-Identifier: Apache-2.0
-- 17. Which processes of pods have stepped onto the node, or into another pod?
-- tables: findings
select severity, first_seen, pid, namespace, pod_name, container_name, title, reason, id
from findings
where kind in ('node-namespaces', 'joined-namespaces', 'other-pods-cgroup', 'left-cgroup', 'program-from-host-path')
order by first_seen nulls last, id
