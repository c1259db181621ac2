-- SPDX-License-Identifier: Apache-2.0
-- 20. Who listens and who is connected, by pod?
-- tables: sockets
select namespace, pod_name, container_name, pid, protocol, state, local || ':' || local_port as local,
    if(remote_port > 0, remote || ':' || remote_port, null) as remote, remote_kind, remote_name
from sockets
where family in ('inet', 'inet6') and (state in ('LISTEN', 'ESTABLISHED', 'SYN_SENT', 'SYN_RECV') or protocol = 'udp')
order by namespace nulls last, pod_name, state, local_port
