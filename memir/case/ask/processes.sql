-- SPDX-License-Identifier: Apache-2.0
-- 7. Which processes run, with which arguments, as whom, since when?
-- tables: processes
select pid, ppid, uid, start_time, array_to_string(args, ' ') as args, comm, exe, namespace, pod_name, container_name
from processes
where not coalesce(kernel_thread, false)
order by start_time, pid
