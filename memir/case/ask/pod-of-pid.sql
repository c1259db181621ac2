-- SPDX-License-Identifier: Apache-2.0
-- 2. Which pod is this process of? (pid=N)
-- tables: processes
-- values: pid
select pid, comm, array_to_string(args, ' ') as args, namespace, pod_name, container_name, pid_in_container, container_id, disagreements
from processes
where pid = $pid
