-- SPDX-License-Identifier: Apache-2.0
-- 40. What is to be done now?
-- tables: findings
-- command: memir plan --finding CASE:ID -o plan.yaml
-- command: memir plan --pod NAMESPACE/NAME -o plan.yaml
-- command: memir respond plan.yaml
select severity, kind, namespace, pod_name, container_name, pid, array_to_string(check_next, '; ') as look_at_next, id
from findings
where severity in ('critical', 'high', 'medium')
order by list_position(['critical', 'high', 'medium'], severity), namespace nulls last, pod_name, id
