-- SPDX-License-Identifier: Apache-2.0
-- 5. What is each pod: owner, labels, service account, IAM role?
-- tables: pods
select namespace, pod_name, owner, service_account, iam_role, labels, qos, host_network, phase, deleted_at, pod_uid, doubts
from pods
order by namespace nulls last, pod_name
