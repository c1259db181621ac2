-- SPDX-License-Identifier: Apache-2.0
-- 19. Which containers have the node's files: hostPath, the runtime's socket, the root?
-- tables: mounts
select namespace, pod_name, container_name, mount_point, coalesce(source_path, root) as on_the_node, fstype,
    if(list_contains(options, 'ro'), 'to read', 'to write') as way, volume_name
from mounts
where volume_kind = 'hostPath'
order by length(coalesce(source_path, root)), namespace, pod_name, mount_point
