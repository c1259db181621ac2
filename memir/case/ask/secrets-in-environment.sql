-- SPDX-License-Identifier: Apache-2.0
-- 29. Which secrets stand in environments, arguments and specs of pods?
-- tables: secrets
-- command: memir query CASE --reveal "select * from secrets join secret_values using (fingerprint)"
select namespace, pod_name, container_name, kind, name, holder, count(*) as times, list_sort(list(distinct pid)) as pids, fingerprint
from secrets
where holder in ('env', 'environ', 'args') or name is not null
group by all
order by namespace nulls last, pod_name, name
