// SPDX-License-Identifier: Apache-2.0
// A table: sorted, filtered, with chosen columns, copied as CSV; only the rows that are on the screen are in the page.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { first, grows, width } from "./columns";
import { head, provedBy, type Table, tables } from "./data";
import { filtered, type Sort, sorted } from "./rows";
import { toRow } from "./route";
import { cell, copy, count, csv, download, isNumber, marked, plural } from "./text";

const HEIGHT = 28;
const AROUND = 4; // rows beyond the edges that are drawn
const CUT = 300; // characters of a cell: the row's own panel has all

export interface GridProps {
  name: string;
  within?: ArrayLike<number> | null; // only these rows
  query?: string;
  columns?: string[];
  selected?: number | null;
  tall?: boolean;
  sorted?: string; // the column by which rows are ordered at first
}

export function Grid(props: GridProps) {
  const table = tables.get(props.name);
  if (!table) return <p class="none">The case has no table {props.name}: it was not read, which is no sign that there was nothing.</p>;
  if (table.rows === 0) return <p class="none">The table {props.name} is there and has no row.</p>;
  return <Rows key={props.name} {...props} table={table} />;
}

function Rows({ table, within = null, query = "", columns, selected = null, tall, sorted: by }: GridProps & { table: Table }) {
  const [typed, type] = useState(query);
  const [shown, show] = useState(() => columns?.filter((name) => table.head.columns.some((each) => each.name === name)) ?? first(table.head));
  const [sort, setSort] = useState<Sort | null>(by ? { column: by, down: false } : null);
  const [rows, setRows] = useState<Int32Array | null>(null);
  const [top, setTop] = useState(0);
  const [cursor, setCursor] = useState(0);
  const [said, say] = useState("");
  const box = useRef<HTMLDivElement>(null);
  const heads = shown.map((name) => table.head.columns.find((column) => column.name === name)!);
  const template = heads.map((column) => `minmax(${width(column)}px, ${grows(column) ? "6fr" : "1fr"})`).join(" ");
  const total = heads.reduce((sum, column) => sum + width(column), 0);

  useEffect(() => type(query), [query]);
  useEffect(() => {
    let gone = false;
    (async () => {
      await table.load(shown);
      let next = await filtered(table, within, typed, () => gone);
      if (next && sort) next = await sorted(table, next, sort, () => gone);
      if (next && !gone) setRows(next);
    })();
    return () => { gone = true; };
  }, [table, within, typed, sort, shown.join()]);
  useEffect(() => {
    if (selected === null || !rows || !box.current) return;
    const place = rows.indexOf(selected);
    if (place < 0) return;
    setCursor(place);
    const { scrollTop, clientHeight } = box.current;
    if (place * HEIGHT < scrollTop || (place + 2) * HEIGHT > scrollTop + clientHeight) box.current.scrollTop = Math.max(0, (place - 3) * HEIGHT);
  }, [selected, rows]);

  const number = rows?.length ?? 0;
  const screen = Math.max(box.current?.clientHeight ?? 0, tall ? innerHeight : 450); // it is small until it has rows
  const from = Math.max(0, Math.floor(top / HEIGHT) - AROUND);
  const to = Math.min(number, Math.ceil((top + screen) / HEIGHT) + AROUND);
  // the element of a row that leaves the screen takes the next that comes: to make elements is what costs in scrolling
  const slots = Math.ceil(screen / HEIGHT) + 2 * AROUND + 2;
  const visible = useMemo(() => Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index), [from, to]);

  const text = () => csv(heads.map((column) => ({ ...column, values: table.ready.get(column.name)! })), rows!);
  const move = (place: number) => {
    const next = Math.max(0, Math.min(number - 1, place));
    setCursor(next);
    const element = box.current!;
    if (next * HEIGHT < element.scrollTop) element.scrollTop = next * HEIGHT;
    if ((next + 2) * HEIGHT > element.scrollTop + element.clientHeight) element.scrollTop = (next + 2) * HEIGHT - element.clientHeight;
  };
  const key = (event: KeyboardEvent) => {
    const page = Math.floor(screen / HEIGHT) - 2;
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -number, End: number };
    if (event.key in steps && !event.ctrlKey && !event.metaKey) { event.preventDefault(); move(cursor + steps[event.key]); }
    if (event.key === "Enter" && rows?.length) { event.preventDefault(); location.hash = toRow(table.head.name, rows[cursor]); }
  };
  const turnSort = (name: string) => setSort((old) => (old?.column !== name ? { column: name, down: false } : old.down ? null : { column: name, down: true }));

  return (
    <section class="table" aria-label={`Table ${table.head.name}`}>
      <div class="tools">
        <input type="search" value={typed} placeholder="Filter: words, column:word, -word" aria-label={`Filter ${table.head.name}`}
          onInput={(event) => { type(event.currentTarget.value); if (box.current) box.current.scrollTop = 0; }} />
        <span class="count" role="status">{rows === null ? "reading …" : number === table.rows ? plural(number, "row") : `${count(number)} of ${plural(table.rows, "row")}`}</span>
        <Choose table={table} shown={shown} show={show} />
        <button onClick={async () => { await table.load(shown); await copy(text()); say("copied"); setTimeout(() => say(""), 2000); }}>Copy as CSV</button>
        <button onClick={async () => { await table.load(shown); download(`${table.head.name}.csv`, text(), "text/csv"); }}>Save CSV</button>
        <span role="status" class="count">{said}</span>
      </div>
      <div class={tall ? "grid tall" : "grid"} ref={box} tabIndex={0} role="grid" aria-rowcount={number + 1} aria-colcount={heads.length}
        aria-label={`Rows of ${table.head.name}`} aria-activedescendant={number ? `${table.head.name}-${cursor}` : undefined}
        onScroll={(event) => setTop(event.currentTarget.scrollTop)} onKeyDown={key}>
        <div class="row heads" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template, minWidth: `${total}px` }}>
          {heads.map((column) => (
            <div role="columnheader" class={isNumber(column.type) ? "number" : ""} aria-sort={sort?.column === column.name ? (sort.down ? "descending" : "ascending") : "none"} title={column.doc ?? undefined}>
              <button onClick={() => turnSort(column.name)} tabIndex={-1}>
                {column.name}{sort?.column === column.name ? (sort.down ? " ▼" : " ▲") : ""}
              </button>
            </div>
          ))}
        </div>
        <div class="space" role="presentation" style={{ height: `${number * HEIGHT}px`, minWidth: `${total}px` }}>
          {rows && visible.map((place) => {
            const row = rows[place];
            const proved = provedBy.get(`${table.head.name}:${row}`);
            const mark = row === selected ? " selected" : place === cursor ? " cursor" : "";
            return (
              <div key={place % slots} id={`${table.head.name}-${place}`} class={`row${mark}${proved ? ` proof ${proved[0].severity}` : ""}`} role="row"
                aria-rowindex={place + 2} aria-selected={row === selected}
                style={{ gridTemplateColumns: template, top: `${place * HEIGHT}px`, minWidth: `${total}px` }}
                onClick={() => { if (!getSelection()?.toString()) location.hash = toRow(table.head.name, row); }}>
                {heads.map((column) => {
                  const value = table.value(column.name, row);
                  const words = cell(value, column.type, column.name);
                  const short = words.length > CUT ? `${words.slice(0, CUT)}…` : words;
                  return <div role="gridcell" class={isNumber(column.type) ? "number" : value === true && column.type === "bool" ? "yes" : ""}>{marked(short)}</div>;
                })}
              </div>
            );
          })}
        </div>
      </div>
    </section>
  );
}

function Choose({ table, shown, show }: { table: Table; shown: string[]; show: (names: string[]) => void }) {
  const names = table.head.columns.map((column) => column.name);
  return (
    <details class="choose">
      <summary>Columns ({shown.length} of {names.length})</summary>
      <div class="sheet">
        <button onClick={() => show(names)}>all</button> <button onClick={() => show(first(table.head))}>as at first</button>
        {table.head.columns.map((column) => (
          <label>
            <input type="checkbox" checked={shown.includes(column.name)}
              onChange={(event) => {
                const next = event.currentTarget.checked ? [...shown, column.name] : shown.filter((name) => name !== column.name);
                if (next.length) show(next); else event.currentTarget.checked = true;
              }} />
            <b>{column.name}</b> {column.doc}
          </label>
        ))}
        {table.head.empty.length > 0 && <p>Without a value in every row: {table.head.empty.join(", ")}</p>}
      </div>
    </details>
  );
}

export const rowsOf = (name: string) => head.tables.find((table) => table.name === name)?.rows ?? 0;
