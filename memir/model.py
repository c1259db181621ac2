"""The tables' columns.

Nothing here imports numpy or pyarrow: the command line reads this module at start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["string", "int32", "int64", "uint32", "uint64", "bool", "timestamp", "list<int32>", "list<string>"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: its name, its type in Arrow's words, and what it means."""

    name: str
    type: ColumnType
    doc: str


def _columns(spec: str) -> tuple[Column, ...]:
    out = []
    for line in spec.strip().splitlines():
        name, kind, doc = line.split(None, 2)
        out.append(Column(name, kind, doc))  # type: ignore[arg-type]  # the words below are ColumnTypes; a test checks
    return tuple(out)


TABLES: dict[str, tuple[Column, ...]] = {
    "processes": _columns("""
        pid              int32        process id in the node's initial pid namespace
        ppid             int32        pid of the parent (real_parent's tgid), as /proc/PID/stat gives it
        tgid             int32        thread group id; equal to pid for a process's main thread
        comm             string       task name as /proc/PID/comm shows it, other bytes as backslash escapes
        args             list<string> command line, one element an argument; null if it could not be read whole
        exe              string       path of the executable as the process's own mount namespace shows it
        exe_deleted      bool         the executable's file has been unlinked
        start_time       timestamp    start, UTC
        uid              uint32       real user id in the initial user namespace
        cap_effective    uint64       effective capabilities, bit n is capability n
        seccomp          int32        0 disabled, 1 strict, 2 filter
        pid_in_container int32        pid in the innermost pid namespace
        pids             list<int32>  the pid in every pid namespace, outermost first (NSpid)
        threads          int32        number of threads in the group
        kernel_thread    bool         has no user memory by design (PF_KTHREAD)
        state            string       scheduler state as ps shows it: R S D T t Z X I P
        in_container     bool         some witness places the process in a container; null if none could be heard
        container_id     string       64 hex digits
        pod_uid          string       pod UID with dashes, or 32 hex digits for a static pod
        pod_name         string       pod name
        namespace        string       Kubernetes namespace
        container_name   string       name of the container in the pod's spec
        cgroup_path      string       path in the unified hierarchy; on cgroup v1 that of the named or first hierarchy
        cgroups          list<string> one `hierarchy:controllers:path` a hierarchy, as /proc/PID/cgroup
        mnt_ns           uint64       mount namespace inum
        pid_ns           uint64       pid namespace inum
        net_ns           uint64       network namespace inum
        ipc_ns           uint64       IPC namespace inum
        uts_ns           uint64       UTS namespace inum
        user_ns          uint64       user namespace inum
        cgroup_ns        uint64       cgroup namespace inum
        time_ns          uint64       time namespace inum
        environ          list<string> environment as the process's memory holds it; null if it could not be read whole
        seen_by          list<string> witnesses of the task itself: tasks (task list), pids (pid IDR), threads
        witnesses        list<string> what placed the process in its container: `witness=container or pod`
        disagreements    list<string> witnesses that name another container, pod or the host
        task             uint64       kernel virtual address of task_struct
        source           string       where the row comes from
    """),
    "containers": _columns("""
        container_id     string       64 hex digits
        kind             string       sandbox or container
        container_name   string       name in the pod's spec
        pod_uid          string       pod UID
        pod_name         string       pod name
        namespace        string       Kubernetes namespace
        image            string       image reference
        runtime          string       containerd, cri-o, docker, ...
        state            string       running, exited or unknown
        init_pid         int32        pid of the container's first process on the node
        cgroup_path      string       cgroup of the container
        privileged       bool         all capabilities and no seccomp, as `privileged: true` gives
        host_pid         bool         shares the node's pid namespace
        host_network     bool         shares the node's network namespace
        rootfs           string       path of the root file system on the node
        overlay_upper    string       overlayfs upperdir
        overlay_lower    list<string> overlayfs lowerdirs, topmost first
        args             list<string> command of the container as its spec gives it
        env              list<string> environment of the container's spec
        sandbox_id       string       container id of the pod's sandbox
        processes        int32        processes placed in it
        seen_in          string       ram, api or both
        source           string       where the row comes from
    """),
    "pods": _columns("""
        pod_uid          string       pod UID
        pod_name         string       pod name
        namespace        string       Kubernetes namespace
        qos              string       Guaranteed, Burstable or BestEffort
        service_account  string       service account
        host_network     bool         shares the node's network namespace
        node             string       node name
        containers       int32        containers known, sandboxes not counted; null if one of them may be either
        processes        int32        processes placed in it
        labels           list<string> `key=value`, from the API
        owner            string       `Kind/name` of the controlling object, from the API
        phase            string       phase, from the API
        seen_in          string       ram, api or both
        source           string       where the row comes from
    """),
    "namespaces": _columns("""
        kind             string       mnt pid net ipc uts user cgroup time
        inum             uint64       number that /proc/PID/ns shows
        initial          bool         the node's own namespace of this kind
        pids             list<int32>  processes in it
        pods             list<string> UIDs of the pods whose processes are in it
        source           string       where the row comes from
    """),
    "hits": _columns("""
        hit_id           string       one id a physical hit; one row a hit and owner
        rule             string       YARA rule
        namespace_rule   string       YARA namespace of the rule (the file it came from)
        tags             list<string> tags of the rule
        meta             list<string> `key=value` of the rule's metadata
        string           string       identifier of the string that matched, with its $
        paddr            uint64       physical address of the first byte
        length           int64        bytes matched; 0 for a rule whose condition asks for no string
        vaddr            uint64       virtual address in the owner, if it has one
        pid              int32        owner process
        container_id     string       container of the owner
        container_name   string       name of that container in the pod's spec
        pod_uid          string       pod of the owner
        pod_name         string       pod of the owner
        namespace        string       Kubernetes namespace of the owner
        owner            string       process, file cache, kernel, free or unknown
        path             string       path of the file that owns the page
        deleted          bool         that file has been unlinked
        data             string       matched bytes, printable ASCII kept, others as \\xNN, bounded
        context          string       hexdump around the hit
        node             string       name of the node
        image            string       image that the hit lies in
        source           string       where the row comes from
    """),
}
"""Every table of a case, in the order in which a person reads them."""
