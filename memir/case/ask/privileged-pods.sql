-- SPDX-License-Identifier: Apache-2.0
-- 18. Which containers are privileged or share the node's pids, network or users?
-- tables: containers
select namespace, pod_name, container_name, image, state, privileged, host_pid, host_network, host_users
from containers
where kind <> 'sandbox' and (privileged or host_pid or host_network)
order by privileged desc nulls last, namespace, pod_name
