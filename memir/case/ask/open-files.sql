-- SPDX-License-Identifier: Apache-2.0
-- 26. Which files has a process open? (pid=N; all without it)
-- tables: files
-- values: pid?
select pid, fd, use, path, kind, deleted, peer, namespace, pod_name, container_name
from files
where $pid is null or pid = $pid
order by pid, use, fd nulls first, path
