-- SPDX-License-Identifier: Apache-2.0
-- 4. Where do memory and the API differ: pods that are gone, other images, other specs?
-- tables: claims
select subject, field, string_agg(distinct value || ' (' || witness || ')', '; ' order by value || ' (' || witness || ')') as said,
    any_value(namespace) as namespace, any_value(pod_name) as pod_name
from claims
where field not in ('started_at', 'finished_at')
group by subject, field
having bool_or(witness = 'API') and count(distinct value) > 1
union all
select 'pod:' || pod_uid, 'seen', 'in memory only: the API does not have it', namespace, pod_name
from claims
where subject like 'pod:%' and pod_uid is not null
group by pod_uid, namespace, pod_name
having not bool_or(witness = 'API') and exists (select 1 from claims where witness = 'API')
order by 1, 2
