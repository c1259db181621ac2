-- SPDX-License-Identifier: Apache-2.0
-- 13. Who exec'd into what: user, address, command, time?
-- tables: sessions
select time, user, source_ips, user_agent, object_namespace as namespace, object_name as pod, exec_container, array_to_string(command, ' ') as command,
    code, processes, impersonated, audit_id
from sessions
order by time
