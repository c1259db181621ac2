-- SPDX-License-Identifier: Apache-2.0
-- 10. Which processes run a program that is deleted, or was never a file?
-- tables: processes
-- command: memir extract files IMAGE -o DIR --pid PID
-- command: memir extract memory IMAGE -o DIR --pid PID
select pid, comm, exe, array_to_string(args, ' ') as args, start_time, namespace, pod_name, container_name
from processes
where exe_deleted or exe like '/memfd:%'
order by start_time
