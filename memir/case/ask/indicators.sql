-- SPDX-License-Identifier: Apache-2.0
-- 34. Which rules and indicators hit, in which pod?
-- tables: hits
-- command: memir hunt IMAGE --rules FILE -o CASE
select rule, namespace, pod_name, container_name, owner, pid, path, count(distinct hit_id) as hits, any_value(data) as example
from hits
group by all
order by rule, namespace nulls last, pod_name, pid
