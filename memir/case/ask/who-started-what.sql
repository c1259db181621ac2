-- SPDX-License-Identifier: Apache-2.0
-- 8. Who started what? Those whose parent has ended hang below the process that took them.
-- tables: processes
with recursive tree as (
    select p.*, 0 as depth, [lpad(p.pid::varchar, 10, '0')] as place
    from processes p
    where not exists (select 1 from processes q where q.pid = p.ppid and q.pid <> p.pid)
    union all
    select p.*, t.depth + 1, list_append(t.place, lpad(p.pid::varchar, 10, '0'))
    from processes p join tree t on p.ppid = t.pid and p.pid <> t.pid
    where t.depth < 100
)
select repeat('  ', depth) || pid as process, ppid, coalesce(nullif(array_to_string(args, ' '), ''), comm) as command, start_time,
    namespace, pod_name, container_name
from tree
where not coalesce(kernel_thread, false)
order by place
