-- SPDX-License-Identifier: Apache-2.0
-- 22. Which connections have ended, what does the kernel still track, whom did it see in the network? (multicast=1: its groups too)
-- tables: sockets, conntrack, neighbours
-- values: multicast?
select 'socket' as source, namespace, pod_name, protocol, local || ':' || local_port as a, remote || ':' || remote_port as b, state
from sockets
where state in ('ended', 'TIME_WAIT', 'FIN_WAIT1', 'FIN_WAIT2', 'CLOSE_WAIT', 'LAST_ACK', 'CLOSING')
union all
select 'conntrack', namespace, pod_name, protocol, orig_src || ':' || orig_src_port, orig_dst || ':' || orig_dst_port, state
from conntrack
union all
select 'neighbour', namespace, pod_name, null, interface, address || coalesce(' ' || mac, ''), state
from neighbours
where $multicast is not null or not (state = 'noarp' or regexp_matches(address, '^(ff|22[4-9]\.|23[0-9]\.)'))
order by list_position(['socket', 'conntrack', 'neighbour'], source), namespace nulls last, pod_name, b
