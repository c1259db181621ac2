// SPDX-License-Identifier: Apache-2.0
// Which rows of a table are shown, in which order: filters and sorting that give the page a turn every few milliseconds.
import { type Table, turn, type Value } from "./data";
import { cell } from "./text";

export interface Sort { column: string; down: boolean }
/** A word of a filter: `text`, `column:text`, each with a `-` before it for rows that have it not. */
export interface Word { column: string | null; text: string; not: boolean }

export function words(query: string, names: string[]): Word[] {
  return (query.match(/-?(?:\w+:)?"[^"]*"|\S+/g) ?? []).map((raw) => {
    const not = raw.startsWith("-") && raw.length > 1;
    let text = not ? raw.slice(1) : raw;
    const colon = text.indexOf(":");
    const column = colon > 0 && names.includes(text.slice(0, colon)) ? text.slice(0, colon) : null;
    if (column) text = text.slice(colon + 1);
    return { column, text: text.replace(/^"(.*)"$/, "$1").toLowerCase(), not };
  });
}

function counted(number: number): Int32Array<ArrayBuffer> {
  const rows = new Int32Array(number);
  for (let row = 0; row < number; row++) rows[row] = row;
  return rows;
}

/** Rows of `within` (all, if null) that every word fits. cancelled: asked at every turn; null if it says so. */
export async function filtered(table: Table, within: ArrayLike<number> | null, query: string, cancelled: () => boolean): Promise<Int32Array | null> {
  const asked = words(query, table.head.columns.map((column) => column.name));
  let rows = within === null ? counted(table.rows) : new Int32Array(within);
  for (const word of asked) {
    const columns = table.head.columns.filter((column) => word.column === null || column.name === word.column);
    const has = new Uint8Array(table.rows);
    for (const column of columns) {
      const values = await table.column(column.name);
      let last: Value, fits = false; // equal values stand together in many columns
      for (let index = 0; index < rows.length; index++) {
        const row = rows[index], value = values[row];
        if (has[row] || value === null || value === undefined) continue;
        if (value !== last || index === 0) {
          last = value;
          fits = cell(value, column.type, column.name).toLowerCase().includes(word.text);
        }
        if (fits) has[row] = 1;
        if ((index & 255) === 0) { const wait = turn(); if (wait) { await wait; if (cancelled()) return null; } }
      }
    }
    rows = rows.filter((row) => (has[row] === 1) !== word.not);
  }
  return rows;
}

function compare(a: Value, b: Value): number {
  const noA = a === null || a === undefined, noB = b === null || b === undefined;
  if (noA || noB) return noA && noB ? 0 : noA ? 1 : -1; // what is not known comes last
  if (Array.isArray(a) || Array.isArray(b) || typeof a === "object") {
    const x = cell(a, "", ""), y = cell(b, "", "");
    return x < y ? -1 : x > y ? 1 : 0;
  }
  return a < b! ? -1 : a > b! ? 1 : 0;
}

const RUN = 512;
/** Rows in the order of a column: a merge sort in steps, stable. */
export async function sorted(table: Table, rows: Int32Array, sort: Sort, cancelled: () => boolean): Promise<Int32Array | null> {
  const values = await table.column(sort.column);
  const sign = sort.down ? -1 : 1;
  const order = (a: number, b: number) => {
    const x = values[a], y = values[b];
    if (x === null || x === undefined || y === null || y === undefined) return compare(x, y);
    return sign * compare(x, y);
  };
  let from = new Int32Array(rows), to = new Int32Array(rows.length);
  for (let start = 0; start < from.length; start += RUN) {
    from.set(Array.from(from.subarray(start, start + RUN)).sort(order), start);
    await turn();
    if (cancelled()) return null;
  }
  for (let run = RUN; run < from.length; run *= 2) {
    for (let start = 0; start < from.length; start += 2 * run) {
      const middle = Math.min(start + run, from.length), end = Math.min(start + 2 * run, from.length);
      let left = start, right = middle;
      for (let index = start; index < end; index++) {
        to[index] = left < middle && (right >= end || order(from[left], from[right]) <= 0) ? from[left++] : from[right++];
        if ((index & 1023) === 0) { const wait = turn(); if (wait) { await wait; if (cancelled()) return null; } }
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
