-- SPDX-License-Identifier: Apache-2.0
-- 24. Which files did containers create or change, and when?
-- tables: inodes, containers
-- command: memir extract files IMAGE -o DIR --container NAME
select i.namespace, i.pod_name, coalesce(i.container_name, if(c.kind = 'sandbox', 'sandbox', i.container_id[:12])) as container_name, i.change,
    coalesce(i.container_path, i.path) as path, i.kind, i.size, i.btime as created, i.mtime as modified, i.deleted, i.sha256
from inodes i left join containers c on c.container_id = i.container_id
where i.change is not null and i.noise is null
order by i.btime nulls last, path
