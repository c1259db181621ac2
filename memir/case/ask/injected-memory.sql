-- SPDX-License-Identifier: Apache-2.0
-- 15. Which memory is executable and no file, or differs from its file?
-- tables: vmas
-- command: memir query CASE "select pid, path, differing from code_pages"
select v.pid, printf('0x%x', v.start) as start, v."end" - v.start as bytes, v.permissions, v.path, v.rss, v.memfd, v.deleted, namespace, pod_name, container_name
from vmas v
where v.permissions like '%x%' and coalesce(v.path, '') not in ('[vdso]', '[vvar]', '[vvar_vclock]', '[vsyscall]', '[uprobes]')
    and (v.anonymous or v.memfd or v.permissions like '%w%')
order by v.pid, v.start
