-- SPDX-License-Identifier: Apache-2.0
-- 32. What do the secrets that lay in memory open: RBAC, IAM, the node?
-- tables: secrets
select gain, opens, role, kind, subject, name, list_sort(list(distinct coalesce(namespace || '/' || pod_name, 'the node'))) as who_had_it
from secrets
where opens is not null or gain is not null
group by all
order by gain, subject
