// SPDX-License-Identifier: Apache-2.0
// What differs from another case: kind by kind what is new, gone and changed.
import { useState } from "preact/hooks";
import { head } from "./data";
import { Grid } from "./grid";
import { count, iso, plural, Safe } from "./text";
import { grouped, type Row, text, useRows } from "./use";

const COLUMNS = ["kind", "state", "namespace", "workload", "container_name", "what", "old", "new", "count_old", "count_new"];
const SHOWN = 30;
const MARKS: Record<string, string> = { new: "+", changed: "~", gone: "−" };

export function Changes() {
  const rows = useRows("differences", COLUMNS);
  if (!head.diff) return <p class="none">This report compares with no other case: <code>memir report CASE --diff OTHER -o report.html</code> does.</p>;
  if (!rows) return <p class="none">reading …</p>;
  const kinds = grouped(rows, (each) => text(each.kind));
  const same = head.diff.compared.filter((kind) => !kinds.has(kind));
  return (
    <>
      <p class="lead-text">What differs between another case (old) and this one (new). Rows are matched by workload, container, program and path, never by pid; a pod by its workload, so that its replicas are one.</p>
      <table class="facts">
        <thead><tr><th>of the images</th><th>old: <Safe text={head.diff.other} /></th><th>new: this case</th></tr></thead>
        <tbody>{Object.entries(head.diff.facts).map(([name, fact]) => (
          <tr><th scope="row">{name}</th><td><Fact name={name} value={fact.old} /></td><td class={fact.old === fact.new ? "" : "differs"}><Fact name={name} value={fact.new} /></td></tr>
        ))}</tbody>
      </table>
      {rows.length === 0 && <p>Nothing differs of what was compared.</p>}
      {head.diff.compared.filter((kind) => kinds.has(kind)).map((kind) => <Kind key={kind} kind={kind} rows={kinds.get(kind)!} />)}
      {same.length > 0 && <p class="sub">No difference: {same.join(", ")}.</p>}
      {Object.entries(head.diff.lacking).map(([kind, why]) => <p class="sub">Not compared: {kind}, <Safe text={why} /></p>)}
      {rows.length > 0 && <><h2>Every difference</h2><Grid name="differences" /></>}
    </>
  );
}

function Fact({ name, value }: { name: string; value: unknown }) {
  if (name === "taken" && typeof value === "string") return <Safe text={`${iso(value)} UTC`} />;
  if (name === "share of RAM" && typeof value === "number") return <>{(100 * value).toFixed(1)} %</>;
  return value === null || value === undefined ? <>not known</> : <Safe text={String(value)} />;
}

function Kind({ kind, rows }: { kind: string; rows: Row[] }) {
  const [all, show] = useState(false);
  const states = grouped(rows, (each) => text(each.state));
  const words = Object.keys(MARKS).filter((state) => states.has(state)).map((state) => `${count(states.get(state)!.length)} ${state}`).join(", ");
  return (
    <section>
      <h2>{kind} <small>{words}</small></h2>
      <div class="wide" tabIndex={0} role="region" aria-label={`Differences of ${kind}`}>
        <table class="changes">
          <thead><tr><th class="state">state</th><th class="where">where</th><th class="what">what</th><th>old</th><th>new</th></tr></thead>
          <tbody>
            {Object.keys(MARKS).flatMap((state) => states.get(state) ?? []).slice(0, all ? undefined : SHOWN).map((each) => (
              <tr class={text(each.state)}>
                <td>{MARKS[text(each.state)]} {text(each.state)}{Math.max(Number(each.count_old), Number(each.count_new)) > 1 && <small> {text(each.state) === "changed" ? `${count(Number(each.count_old))} → ${count(Number(each.count_new))}` : `${count(Math.max(Number(each.count_old), Number(each.count_new)))} times`}</small>}</td>
                <td><Safe text={[each.namespace, each.workload, each.container_name].map(text).filter(Boolean).join("/") || "the node"} /></td>
                <td><Safe text={text(each.what)} /></td><td><Safe text={text(each.old)} /></td><td><Safe text={text(each.new)} /></td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!all && rows.length > SHOWN && <button class="more" onClick={() => show(true)}>{plural(rows.length - SHOWN, "more difference")}</button>}
    </section>
  );
}
