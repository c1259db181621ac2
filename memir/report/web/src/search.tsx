// SPDX-License-Identifier: Apache-2.0
// Words looked for in every table, a table after the other.
import { useEffect, useState } from "preact/hooks";
import { head, type Table, tables } from "./data";
import { SeverityMark } from "./marks";
import { toFinding, toRow, toTable } from "./route";
import { filtered } from "./rows";
import { cell, count, plural, Safe } from "./text";

interface Hit { table: Table; rows: Int32Array }
const SHOWN = 5;
const AROUND = 60;

export function Search({ query }: { query: string }) {
  const [hits, set] = useState<Hit[]>([]);
  const [left, setLeft] = useState(0);
  useEffect(() => {
    let gone = false;
    set([]);
    (async () => {
      const every = [...tables.values()].filter((table) => table.rows && table.head.name !== "findings").sort((a, b) => a.rows - b.rows);
      setLeft(every.length);
      for (const [index, table] of every.entries()) {
        const rows = query ? await filtered(table, null, query, () => gone) : null;
        if (gone) return;
        if (rows?.length) set((old) => [...old, { table, rows }]);
        setLeft(every.length - index - 1);
      }
    })();
    return () => { gone = true; };
  }, [query]);
  const lower = query.toLowerCase();
  const findings = head.findings.filter((each) => lower && `${each.title} ${each.kind} ${each.path ?? ""} ${each.id} ${each.technique}`.toLowerCase().includes(lower));
  return (
    <div class="search-view">
      <p class="lead-text" role="status">{query ? <>Looked for <b><Safe text={query} /></b>{left ? `, ${plural(left, "table")} to go …` : `: in ${plural(hits.length, "table")}${findings.length ? ` and ${plural(findings.length, "finding")}` : ""}`}</> : "Type what to look for."}</p>
      {findings.length > 0 && <section><h2>findings</h2><ul>{findings.map((each) => <li><SeverityMark severity={each.severity} /> <a href={toFinding(each.id)}><Safe text={each.title} /></a></li>)}</ul></section>}
      {hits.map(({ table, rows }) => (
        <section>
          <h2><a href={toTable(table.head.name, query)}>{table.head.name}</a> <small>{plural(rows.length, "row")}</small></h2>
          <ul>{Array.from(rows.slice(0, SHOWN), (row) => <li><a href={toRow(table.head.name, row)}>row {count(row)}</a> <Where table={table} row={row} query={lower} /></li>)}</ul>
        </section>
      ))}
    </div>
  );
}

/** The first value that has the first word, with what is around it. */
function Where({ table, row, query }: { table: Table; row: number; query: string }) {
  const word = query.split(/\s+/)[0].replace(/^-?\w+:/, "").replace(/"/g, "");
  for (const column of table.head.columns) {
    const value = cell(table.value(column.name, row), column.type, column.name), place = value.toLowerCase().indexOf(word);
    if (place < 0) continue;
    const from = Math.max(0, place - AROUND), to = Math.min(value.length, place + word.length + AROUND);
    return <><small>{column.name}</small> <Safe text={`${from ? "…" : ""}${value.slice(from, place)}`} /><b><Safe text={value.slice(place, place + word.length)} /></b><Safe text={`${value.slice(place + word.length, to)}${to < value.length ? "…" : ""}`} /></>;
  }
  return null;
}
