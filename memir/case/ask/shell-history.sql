-- SPDX-License-Identifier: Apache-2.0
-- 28. What was typed, and which names were looked for and not there?
-- tables: log, lookups
select time, if(origin ilike '%history%', 'typed', 'logged in') as what, text, namespace, pod_name, container_name
from log
where origin ilike '%history%' or origin = 'login'
    or (origin = 'journal' and regexp_matches(text, '^Accepted [a-z/-]+ for .+ from .+ port [0-9]+'))
union all
select null, 'looked for, not there', coalesce(container_path, node_path, path), namespace, pod_name, container_name
from lookups
where regexp_matches(coalesce(container_path, node_path, path), '/(curl|wget|nc|ncat|socat|kubectl|crictl|docker|nsenter|xmrig|gcc|python3?|perl|aws|\.aws|\.kube|\.ssh)(/|$)')
order by time nulls last, text
