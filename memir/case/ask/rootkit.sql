-- SPDX-License-Identifier: Apache-2.0
-- 36. Is the kernel changed: modules, system calls, ftrace, eBPF, hooks, tasks that are hidden?
-- tables: modules, hooks, bpf, findings
-- limits: kernel
select 'module' as what, name, if(hidden, 'hidden', 'not seen to hide') as judgement, array_to_string(missing_from, ', ') as why, null as attached
from modules
where coalesce(hidden, true)
union all
select 'hook', kind || ' ' || coalesce(name, ''), judgement, why, coalesce(symbol, module)
from hooks
where judgement is distinct from 'expected'
union all
select 'bpf ' || type, name, null, null, array_to_string(attached, ', ')
from bpf
where kind = 'program'
union all
select 'task', 'pid ' || pid, if(kind = 'hidden-task', 'hidden', 'perhaps hidden'), title, null
from findings
where kind in ('hidden-task', 'unlisted-task')
order by 1, 2
