-- SPDX-License-Identifier: Apache-2.0
-- 33. Which cloud keys, kubeconfigs and private keys lie in memory?
-- tables: secrets
select kind, name, subject, holder, path, pid, namespace, pod_name, container_name, fingerprint
from secrets
where kind not in ('password', 'token')
order by kind, namespace nulls last, pod_name
