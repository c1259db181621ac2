-- SPDX-License-Identifier: Apache-2.0
-- 1. Which pods and containers are here, those that have ended too?
-- tables: containers
select namespace, pod_name, container_name, state, image, started_at, finished_at, exit_code, reason, processes, container_id
from containers
where kind <> 'sandbox'
order by namespace nulls last, pod_name, started_at
