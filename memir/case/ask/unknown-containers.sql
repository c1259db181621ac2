-- SPDX-License-Identifier: Apache-2.0
-- 3. Which containers does the kubelet not know?
-- tables: containers
select container_id, state, image, started_at, init_pid, array_to_string(args, ' ') as args, containerd_namespace, doubts
from containers
where pod_uid is null or (pod_name is null and kind <> 'sandbox')
order by started_at
