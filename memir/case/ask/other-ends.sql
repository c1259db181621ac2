-- SPDX-License-Identifier: Apache-2.0
-- 21. Whose address is the other end: a pod, a service, the node, outside?
-- tables: sockets
select remote_kind, coalesce(remote_name, remote) as other_end, remote_port, count(*) as connections,
    list_sort(list(distinct coalesce(namespace || '/' || pod_name, 'the node'))) as who, list_sort(list(distinct pid)) as pids
from sockets
where remote_port > 0 and coalesce(remote_kind, '') not in ('loopback', 'process')
group by all
order by remote_kind, other_end, remote_port
