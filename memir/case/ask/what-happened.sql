-- SPDX-License-Identifier: Apache-2.0
-- 38. What happened: verdict, severity, technique?
-- tables: findings
-- command: memir report CASE -o report.html
select severity, first_seen, kind, technique || ' ' || technique_name as technique, namespace, pod_name, container_name, pid, title, id
from findings
order by kind <> 'guardduty-claims', list_position(['critical', 'high', 'medium', 'low', 'info'], severity), first_seen nulls last, id
