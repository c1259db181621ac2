-- SPDX-License-Identifier: Apache-2.0
-- 24. Which files did containers create or change, and when?
-- tables: inodes
-- command: memir extract files IMAGE -o DIR --container NAME
select namespace, pod_name, container_name, change, coalesce(container_path, path) as path, kind, size, btime as created, mtime as modified, deleted, sha256
from inodes
where change is not null and noise is null
order by btime nulls last, path
