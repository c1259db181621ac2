-- SPDX-License-Identifier: Apache-2.0
-- 6. Who else runs this workload, service account or image? (owner=, account=, image= narrow it)
-- tables: pods, containers, api_pods
-- values: owner?, account?, image?
-- command: memir hunt IMAGE... --rules FILE -o HUNT
with here as (
    select 'this node' as place, p.namespace, p.pod_name, p.owner, p.service_account,
        list_sort(list(distinct c.image) filter (c.kind <> 'sandbox')) as images
    from pods p left join containers c using (pod_uid)
    group by all
), there as (
    select coalesce(node, 'not on a node') as place, namespace, pod_name, coalesce(workload, owner) as owner, service_account,
        null::varchar[] as images
    from api_pods
)
select * from (select * from here union all select * from there)
where ($owner is null or owner like '%' || $owner || '%') and ($account is null or service_account = $account)
    and ($image is null or array_to_string(images, ' ') like '%' || $image || '%')
order by owner nulls last, namespace, pod_name
