// SPDX-License-Identifier: Apache-2.0
// Which columns of a table are shown first, and how wide: the others are one click away.
import type { ColumnHead, TableHead } from "./data";
import { isNumber } from "./text";

const FIRST: Record<string, string[]> = {
  processes: ["pid", "ppid", "comm", "args", "exe", "start_time", "uid", "namespace", "pod_name", "container_name", "disagreements"],
  containers: ["container_name", "kind", "state", "image", "namespace", "pod_name", "started_at", "finished_at", "exit_code", "privileged", "host_pid", "host_network", "processes", "doubts"],
  pods: ["namespace", "pod_name", "phase", "owner", "service_account", "iam_role", "qos", "host_network", "containers", "processes", "deleted_at", "doubts"],
  inodes: ["path", "container_path", "change", "layer", "kind", "size", "mtime", "btime", "deleted", "cached", "sha256", "namespace", "pod_name", "container_name"],
  sockets: ["namespace", "pod_name", "pid", "protocol", "local", "local_port", "remote", "remote_port", "state", "remote_kind", "remote_name", "family"],
  conntrack: ["protocol", "orig_src", "orig_src_port", "orig_dst", "orig_dst_port", "state", "from_name", "to_name", "to_kind", "service", "packets", "bytes"],
  files: ["pid", "fd", "use", "path", "kind", "deleted", "peer", "namespace", "pod_name", "container_name"],
  hits: ["rule", "string", "owner", "pid", "path", "vaddr", "length", "data", "namespace", "pod_name", "container_name"],
  secrets: ["kind", "name", "holder", "pid", "namespace", "pod_name", "container_name", "opens", "audience", "expires", "valid", "fingerprint"],
  log: ["time", "origin", "level", "text", "namespace", "pod_name"],
  timeline: ["time", "kind", "text", "namespace", "pod_name", "container_name"],
  findings: ["severity", "kind", "title", "first_seen", "namespace", "pod_name", "container_name", "pid", "technique"],
  mounts: ["mount_point", "fstype", "source_path", "volume_kind", "volume_name", "options", "namespace", "pod_name", "container_name"],
  pages: ["kind", "bytes", "pid", "path", "name", "namespace", "pod_name", "container_name", "mapped", "cgroup_removed", "deleted"],
  audit: ["time", "user", "source_ips", "verb", "resource", "subresource", "object_namespace", "object_name", "code", "namespace", "pod_name"],
  sessions: ["time", "kind", "user", "source_ips", "object_namespace", "object_name", "command", "pids", "end", "code"],
  previews: ["row", "size", "offset", "length", "text", "hex", "holes", "why"],
  differences: ["kind", "state", "namespace", "workload", "container_name", "what", "old", "new", "count_old", "count_new"],
  modules: ["name", "state", "size", "refcount", "srcversion", "hidden", "seen_by", "taints"],
  hooks: ["kind", "name", "symbol", "module", "judgement", "why"],
  vmas: ["pid", "start", "end", "permissions", "path", "anonymous", "deleted", "memfd", "rss", "namespace", "pod_name"],
};
const LAST = /^(container_id|pod_uid|shared_by|source|.*_ns|address|task|sock|file|vma|module|route|neighbour|device|entry|dentry|cgroup|superblock|target|trampoline|run|image)$/;

/** The columns that are shown at first, in their order. */
export function first(table: TableHead): string[] {
  const there = table.columns.map((column) => column.name);
  const wanted = (FIRST[table.name] ?? []).filter((name) => there.includes(name));
  if (wanted.length) return wanted;
  const plain = there.filter((name) => !LAST.test(name));
  return (plain.length ? plain : there).slice(0, 14);
}

const WIDE = /^(text|title|args|data|claims|path|container_path|node_path|key|value|exe|mount_point|source_path|cgroup_path|image|doubts|disagreements|why|what|old|new|command|holes|hex)$/;
const NARROW: Record<string, number> = { pid: 70, ppid: 70, tid: 70, fd: 60, uid: 60, kind: 120, severity: 90, pod_name: 210, namespace: 120 };

/** Whether it takes the room that is left. */
export const grows = (column: ColumnHead) => WIDE.test(column.name);

/** Width in pixels, at least. */
export function width(column: ColumnHead): number {
  const known = NARROW[column.name];
  if (known) return known;
  if (column.type.startsWith("timestamp")) return 236;
  if (column.name === "text") return 460;
  if (WIDE.test(column.name)) return 340;
  if (column.type === "bool") return Math.max(80, column.name.length * 8 + 34);
  if (column.type === "uint64") return 170;
  if (isNumber(column.type)) return Math.max(90, column.name.length * 8 + 34);
  return 160;
}
