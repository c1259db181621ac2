// SPDX-License-Identifier: Apache-2.0
// namespace > pod > container > process, with what stands out on each.
import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { type Finding, head, provedBy } from "./data";
import { Badges } from "./marks";
import { toRow } from "./route";
import { count, plural, Safe } from "./text";
import { grouped, type Row, text, useGrowing, useRows } from "./use";

const PROCESS = ["pid", "ppid", "comm", "args", "start_time", "exe_deleted", "kernel_thread", "pid_in_container", "pod_uid", "container_id", "in_container", "disagreements"];
const OPEN = 8; // pods that are open at first: each draws its processes
const SHOWN = 40; // processes of a container that are listed at first
const STEP = 3; // namespaces and pods that are drawn in one task

export function Map_() {
  const pods = useRows("pods", ["pod_uid", "pod_name", "namespace", "owner", "phase", "service_account", "iam_role", "qos", "host_network"]);
  const containers = useRows("containers", ["container_id", "container_name", "kind", "image", "state", "exit_code", "reason", "pod_uid", "privileged", "host_pid"]);
  const processes = useRows("processes", PROCESS);
  if (!pods || !containers || !processes) return <p class="none">reading …</p>;
  return <Places pods={pods} containers={containers} processes={processes} />;
}

function Places({ pods, containers, processes }: { pods: Row[]; containers: Row[]; processes: Row[] }) {
  const all = useMemo(() => places(pods, containers, processes), [pods, containers, processes]);
  let left = useGrowing(all.reduce((sum, each) => sum + each.parts.length, 0), STEP);
  return (
    <div class="map">
      {all.map(({ name, parts }) => {
        const shown = parts.slice(0, left);
        left -= shown.length;
        return shown.length > 0 && <section key={name} class="namespace">{shown}</section>;
      })}
    </div>
  );
}

/** Each namespace with its title, then its pods. */
function places(pods: Row[], containers: Row[], processes: Row[]): { name: string; parts: JSX.Element[] }[] {
  const users = processes.filter((each) => each.kernel_thread !== true);
  // each process stands somewhere: in its container, in its pod where the container is not known, on the node, or nowhere known
  const knownPods = new Set(pods.map((each) => text(each.pod_uid)));
  const knownContainers = new Set(containers.map((each) => text(each.container_id)));
  const inContainer = (each: Row) => knownContainers.has(text(each.container_id));
  const inPod = (each: Row) => !inContainer(each) && knownPods.has(text(each.pod_uid));
  const byContainer = grouped(users.filter(inContainer), (each) => text(each.container_id));
  const loose = grouped(users.filter(inPod), (each) => text(each.pod_uid));
  const byPod = grouped(containers, (each) => (knownPods.has(text(each.pod_uid)) ? text(each.pod_uid) : ""));
  const namespaces = [...grouped(pods, (each) => text(each.namespace) || "namespace not known")].sort(([a], [b]) => (a < b ? -1 : 1));
  const opened = new Set([...new Set(head.findings.filter((each) => each.severity !== "info" && each.pod_uid).map((each) => each.pod_uid))].slice(0, OPEN)); // the worst come first
  const alone = byPod.get("") ?? [];
  const others = users.filter((each) => !inContainer(each) && !inPod(each));
  const unplaced = (each: Row) => Boolean(each.container_id || each.pod_uid) || each.in_container === null;
  const node = others.filter((each) => !unplaced(each));
  const unknown = others.filter(unplaced);
  const made = namespaces.map(([name, group]) => ({ name, parts: [
    <h2 key=""><Safe text={name} /> <small>{plural(group.length, "pod")}</small></h2>,
    ...group.map((pod) => <Pod key={pod.row} pod={pod} first={opened.has(text(pod.pod_uid))} containers={byPod.get(text(pod.pod_uid)) ?? []} processes={byContainer} loose={loose.get(text(pod.pod_uid)) ?? []} />),
  ] }));
  if (alone.length) made.push({ name: "\0alone", parts: [
    <h2 key="">Containers without a pod <small>{count(alone.length)}</small></h2>,
    ...alone.map((each) => <Container key={each.row} container={each} processes={byContainer.get(text(each.container_id)) ?? []} />),
  ] });
  made.push({ name: "\0node", parts: [
    <h2 key="">The node itself <small>{processCount(node.length)}, {count(processes.length - users.length)} kernel threads</small></h2>,
    <Processes key="processes" processes={node} />,
  ] });
  if (unknown.length) made.push({ name: "\0unknown", parts: [
    <h2 key="">Place not known (in a container or not) <small>{processCount(unknown.length)}</small></h2>,
    <Processes key="processes" processes={unknown} />,
  ] });
  return made;
}

const processCount = (number: number) => plural(number, "process").replace(/processs$/, "processes");

function about(test: (finding: Finding) => boolean): Finding[] { return head.findings.filter(test); }

function Pod({ pod, first, containers, processes, loose }: { pod: Row; first: boolean; containers: Row[]; processes: Map<string, Row[]>; loose: Row[] }) {
  const own = about((each) => each.pod_uid === pod.pod_uid);
  const grave = own.filter((each) => each.severity !== "info");
  const [open, toggle] = useState(first);
  const facts = [pod.phase, pod.owner && `of ${pod.owner}`, pod.service_account && `service account ${pod.service_account}`, pod.iam_role && `IAM role ${pod.iam_role}`,
    pod.host_network === true && "the node's network"].filter(Boolean).join(" · ");
  const inside = containers.reduce((sum, each) => sum + (processes.get(text(each.container_id))?.length ?? 0), loose.length);
  return (
    <details class={`pod ${grave[0]?.severity ?? ""}`} open={open} onToggle={(event) => toggle(event.currentTarget.open)}>
      <summary><b><Safe text={text(pod.pod_name) || text(pod.pod_uid)} /></b> <small>{processCount(inside)}</small> <Counts findings={own} /></summary>
      {open && <>
        <p class="sub"><Safe text={facts} /> <a href={toRow("pods", pod.row)}>row</a></p>
        {containers.map((each) => <Container container={each} processes={processes.get(text(each.container_id)) ?? []} />)}
        {loose.length > 0 && <div class="container"><p>In the pod, in none of these containers <small>{processCount(loose.length)}</small></p><Processes processes={loose} /></div>}
      </>}
    </details>
  );
}

/** How many findings of each severity. */
function Counts({ findings }: { findings: Finding[] }) {
  return <>{[...grouped(findings, (each) => each.severity)].map(([severity, group]) => <span class={`mark ${severity}`}>{group.length} {severity}</span>)}</>;
}

function Container({ container, processes }: { container: Row; processes: Row[] }) {
  const about = provedBy.get(`containers:${container.row}`) ?? [];
  const end = container.exit_code !== null && container.state === "exited" ? `, exit code ${container.exit_code}` : "";
  return (
    <div class="container">
      <p><a href={toRow("containers", container.row)}><Safe text={container.kind === "sandbox" ? "sandbox" : text(container.container_name) || text(container.container_id).slice(0, 12)} /></a>
        {" "}<small><Safe text={text(container.state)} />{end} · <Safe text={text(container.image) || "image not known"} />{container.privileged === true && " · privileged"}{container.host_pid === true && " · the node's pids"}</small> <Badges findings={about} /></p>
      <Processes processes={processes} />
    </div>
  );
}

/** A tree by parent, as far as the parents are among these processes. */
function Processes({ processes }: { processes: Row[] }) {
  const [all, show] = useState(false);
  const there = new Set(processes.map((each) => each.pid));
  const children = grouped(processes, (each) => (there.has(each.ppid) && each.ppid !== each.pid ? String(each.ppid) : ""));
  const ordered: [Row, number][] = [];
  const seen = new Set<Row>();
  const stack: [Row, number][] = (children.get("") ?? []).map((each) => [each, 0] as [Row, number]).reverse();
  while (stack.length) {
    const [each, depth] = stack.pop()!;
    if (seen.has(each)) continue;
    seen.add(each);
    ordered.push([each, depth]);
    for (const child of (children.get(String(each.pid)) ?? []).reverse()) stack.push([child, depth + 1]);
  }
  for (const each of processes) if (!seen.has(each)) ordered.push([each, 0]); // parents in a circle
  const listed = all ? ordered : ordered.filter(([each], index) => index < SHOWN || provedBy.has(`processes:${each.row}`));
  return (
    <ul class="processes">
      {listed.map(([each, depth]) => {
        const proved = provedBy.get(`processes:${each.row}`) ?? [];
        const args = Array.isArray(each.args) && each.args.length ? each.args.map(text).join(" ") : text(each.comm);
        const inside = each.pid_in_container !== null && each.pid_in_container !== each.pid ? ` (${each.pid_in_container} inside)` : "";
        return (
          <li class={proved[0]?.severity ?? ""} style={{ paddingLeft: `${Math.min(depth, 12) * 18}px` }}>
            <a href={toRow("processes", each.row)}>{String(each.pid)}</a><small>{inside}</small>{" "}
            {each.exe_deleted === true && <em>deleted </em>}{Array.isArray(each.disagreements) && each.disagreements.length > 0 && <em title={each.disagreements.map(text).join("; ")}>witnesses disagree </em>}<code><Safe text={args.slice(0, 200)} />{args.length > 200 && "…"}</code> <Badges findings={proved} />
          </li>
        );
      })}
      {listed.length < ordered.length && <li><button class="more" onClick={() => show(true)}>{count(ordered.length - listed.length)} more processes</button></li>}
    </ul>
  );
}
