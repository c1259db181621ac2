-- SPDX-License-Identifier: Apache-2.0
-- 16. Which privileges has each process in a container: capabilities by name, seccomp, uid in and out?
-- tables: processes
select pid, comm, uid as uid_on_node, if(cap_effective >= (1::ubigint << 38) - 1, ['all'], [name for name, bit in ['chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap',
    'linux_immutable', 'net_bind_service', 'net_broadcast', 'net_admin', 'net_raw', 'ipc_lock', 'ipc_owner', 'sys_module',
    'sys_rawio', 'sys_chroot', 'sys_ptrace', 'sys_pacct', 'sys_admin', 'sys_boot', 'sys_nice', 'sys_resource', 'sys_time',
    'sys_tty_config', 'mknod', 'lease', 'audit_write', 'audit_control', 'setfcap', 'mac_override', 'mac_admin', 'syslog',
    'wake_alarm', 'block_suspend', 'audit_read', 'perfmon', 'bpf', 'checkpoint_restore']
    if (cap_effective >> (bit - 1)) & 1 = 1]) as capabilities,
    case seccomp when 0 then 'none' when 1 then 'strict' when 2 then 'filter' end as seccomp, user_ns, namespace, pod_name, container_name
from processes
where in_container and not coalesce(kernel_thread, false)
order by bit_count(cap_effective) desc, pid
