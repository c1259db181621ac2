-- SPDX-License-Identifier: Apache-2.0
-- 32. What do the secrets that lay in memory open: RBAC, IAM, the node?
-- tables: secrets, pods
-- command: memir snapshot -o cluster
-- command: memir analyze IMAGE -o CASE --cluster cluster --force
with roles as (
    select 'system:serviceaccount:' || namespace || ':' || service_account as account, string_agg(distinct iam_role, ', ') as role
    from pods where iam_role is not null group by all
)
select s.gain, s.opens, s.role, r.role as role_of_its_pods, s.kind, s.subject, s.name,
    string_agg(distinct coalesce(s.namespace || '/' || s.pod_name, 'the node'), ', ' order by coalesce(s.namespace || '/' || s.pod_name, 'the node')) as who_had_it
from secrets s left join roles r on r.account = s.subject
where s.opens is not null or s.gain is not null
group by all
order by s.gain nulls last, s.subject
