-- SPDX-License-Identifier: Apache-2.0
-- 14. Which processes are not the container's own program: shells, tools, what was brought in?
-- tables: processes, containers
select p.pid, p.comm, p.exe, array_to_string(p.args, ' ') as args, p.start_time, p.start_time - i.start_time as after_start,
    p.namespace, p.pod_name, p.container_name
from processes p
join containers c on c.container_id = p.container_id
left join processes i on i.pid = c.init_pid
where p.pid <> c.init_pid and p.exe is distinct from i.exe
order by p.namespace, p.pod_name, p.container_name, p.start_time
