-- SPDX-License-Identifier: Apache-2.0
-- 12. Which exec sessions were open?
-- tables: findings
-- command: memir analyze IMAGE -o CASE --logs AUDIT --force
select severity, first_seen, pid, namespace, pod_name, container_name, title, reason, id
from findings
where kind in ('exec-session')
order by first_seen nulls last, id
