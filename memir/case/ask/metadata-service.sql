-- SPDX-License-Identifier: Apache-2.0
-- 23. Who reached the instance metadata service or the credentials of a container?
-- tables: sockets, conntrack, routes
select 'socket' as source, pid, namespace, pod_name, container_name, remote as address, remote_port as port, state
from sockets
where replace(remote, '::ffff:', '') in ('169.254.169.254', '169.254.170.2', '169.254.170.23', 'fd00:ec2::254', 'fd00:ec2::23')
union all
select 'conntrack', null, namespace, pod_name, container_name, orig_dst, orig_dst_port, state
from conntrack
where orig_dst in ('169.254.169.254', '169.254.170.2', '169.254.170.23', 'fd00:ec2::254', 'fd00:ec2::23')
union all
select 'route', null, namespace, pod_name, container_name, destination, null, type
from routes
where destination like '169.254.169.254%' or destination like '169.254.170.2%' or destination like 'fd00:ec2::%'
order by source, namespace nulls last
