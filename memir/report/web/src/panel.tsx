// SPDX-License-Identifier: Apache-2.0
// One row with all that it says, the findings that it proves, and notes.
import { useEffect, useState } from "preact/hooks";
import { provedBy, tables, type Value } from "./data";
import { NoteBox } from "./notes";
import { toFinding, toTable, word } from "./route";
import { cell, Safe } from "./text";
import { SeverityMark } from "./marks";

/** Columns whose value leads to rows of other tables: [table, column there]. */
const LEADS: Record<string, [string, string][]> = {
  pid: [["processes", "pid"], ["files", "pid"], ["vmas", "pid"], ["sockets", "pid"]],
  ppid: [["processes", "pid"]],
  pod_uid: [["pods", "pod_uid"], ["processes", "pod_uid"], ["timeline", "pod_name"]],
  container_id: [["containers", "container_id"]],
  fingerprint: [["secrets", "fingerprint"]],
};

export function Panel({ name, row, close }: { name: string; row: number; close: string }) {
  const table = tables.get(name);
  const [ready, done] = useState(false);
  useEffect(() => {
    let gone = false;
    done(false);
    table?.load(table.head.columns.map((column) => column.name)).then(() => { if (!gone) done(true); });
    return () => { gone = true; };
  }, [name, row]);
  if (!table || row >= table.rows) return null;
  const proved = provedBy.get(`${name}:${row}`) ?? [];
  return (
    <aside class="panel" aria-label={`Row ${row} of ${name}`}>
      <header><h2>{name} <small>row {row}</small></h2><a href={close} class="button" aria-label="Close this row">×</a></header>
      {proved.map((finding) => (
        <p><SeverityMark severity={finding.severity} /> proves <a href={toFinding(finding.id)}><Safe text={finding.title} /></a></p>
      ))}
      {ready && (
        <dl>
          {table.head.columns.map((column) => {
            const value = table.value(column.name, row);
            if (value === null || value === undefined || (Array.isArray(value) && !value.length)) return null;
            return <Field key={`${row}${column.name}`} table={name} column={column.name} type={column.type} doc={column.doc} value={value} />;
          })}
        </dl>
      )}
      {ready && name === "timeline" && <p><a href={`#table=${String(table.value("source", row))}&row=${String(table.value("row", row))}`}>the row that it comes from</a></p>}
      <NoteBox target={`row:${name}:${row}`} />
    </aside>
  );
}

function Field({ table, column, type, doc, value }: { table: string; column: string; type: string; doc: string | null; value: Value }) {
  const leads = (LEADS[column] ?? []).filter(([to]) => to !== table && tables.has(to));
  const lines = Array.isArray(value) && value.length > 1 && value.some((each) => typeof each === "string");
  return (
    <>
      <dt title={doc ?? undefined}>{column}</dt>
      <dd>
        {column === "context" ? <pre class="hex">{<Safe text={cell(value, type, column)} lines />}</pre>
          : lines ? <ol>{(value as Value[]).map((each) => <li><Safe text={cell(each, "", column)} /></li>)}</ol>
          : <Safe text={cell(value, type, column)} lines />}
        {leads.map(([to, there]) => <a class="lead" href={toTable(to, word(there, cell(value, type, column)))}>{to}</a>)}
      </dd>
    </>
  );
}
