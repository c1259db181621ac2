-- SPDX-License-Identifier: Apache-2.0
-- 11. Which processes pass as kernel threads?
-- tables: findings
select severity, first_seen, pid, namespace, pod_name, container_name, title, reason, id
from findings
where kind in ('kernel-thread-name')
order by first_seen nulls last, id
