-- SPDX-License-Identifier: Apache-2.0
-- 25. How do I take a program out of memory, with its hash and its holes?
-- tables: processes
-- values: pid?
-- command: memir extract files IMAGE -o DIR --pid PID
-- command: memir extract memory IMAGE -o DIR --pid PID
select pid, comm, exe, exe_deleted, exe_sha256, exe_code, namespace, pod_name, container_name
from processes
where exe is not null and ($pid is null or pid = $pid)
order by exe_deleted desc nulls last, pid
