-- SPDX-License-Identifier: Apache-2.0
-- 9. Which processes are missing from lists that should have them?
-- tables: processes, findings
select p.pid, p.comm, p.exe, p.seen_by, f.severity, f.title, p.namespace, p.pod_name, p.container_name
from processes p
left join findings f on f.pid = p.pid and f.kind = 'hidden-task'
where f.id is not null or not list_contains(p.seen_by, 'tasks')
order by p.pid
