-- SPDX-License-Identifier: Apache-2.0
-- 30. Which tokens lie where, and is one in the hands of another than its own?
-- tables: secrets
select subject, fingerprint, list_sort(list(distinct coalesce(namespace || '/' || pod_name, 'the node') || ' (' || holder || ')')) as lies_in,
    any_value(issued_to) as issued_to_pod, count(distinct coalesce(pod_uid, 'node')) as places
from secrets
where kind = 'token'
group by subject, fingerprint
order by places desc, subject
