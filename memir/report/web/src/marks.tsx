// SPDX-License-Identifier: Apache-2.0
// Small things that many views show.
import type { Finding, Part, Severity } from "./data";
import { toFinding } from "./route";
import { plain, Safe } from "./text";

export function SeverityMark({ severity }: { severity: Severity }) {
  return <span class={`mark ${severity}`}>{severity}</span>;
}

export function Parts({ parts }: { parts: Part[] }) {
  return <>{parts.map((part) => (typeof part === "string" ? <Words text={part} /> : <a href={part[1]}><Safe text={part[0]} /></a>))}</>;
}

/** Words of memir's own, with commands in backquotes. */
export function Words({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code><Safe text={part} /></code> : <Safe text={part} />))}</>;
}

/** Findings as small links, the worst first. */
export function Badges({ findings }: { findings: Finding[] }) {
  return <>{findings.map((each) => <a class={`mark ${each.severity}`} href={toFinding(each.id)} title={plain(each.title)}><Safe text={each.kind} /></a>)}</>;
}

/** The same without links: in a line that opens and closes, which may have none in it. */
export function Marks({ findings }: { findings: Finding[] }) {
  return <>{findings.map((each) => <span class={`mark ${each.severity}`} title={plain(each.title)}><Safe text={each.kind} /></span>)}</>;
}

/** namespace/pod/container of a row, or the node. */
export function place(row: Finding | Record<string, unknown>): string {
  const parts = [row.namespace, row.pod_name ?? row.pod_uid, row.container_name].filter((part) => typeof part === "string" && part);
  return parts.length ? parts.join("/") : typeof row.container_id === "string" ? `container ${row.container_id.slice(0, 12)}` : "the node itself";
}
