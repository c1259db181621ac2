// SPDX-License-Identifier: Apache-2.0
// Rows of small tables as objects, for views that draw more than a table.
import { useEffect, useState } from "preact/hooks";
import { tables, turn, type Value } from "./data";

export type Row = Record<string, Value> & { row: number };

/** All rows of a table with these columns; null while they are decoded, [] if the case has no such table. */
export function useRows(name: string, columns: string[]): Row[] | null {
  const [rows, set] = useState<Row[] | null>(null);
  useEffect(() => {
    let gone = false;
    (async () => {
      const table = tables.get(name);
      if (!table) return set([]);
      const values = await table.load(columns);
      const made: Row[] = [];
      for (let row = 0; row < table.rows; row++) {
        const each: Row = { row };
        for (let index = 0; index < columns.length; index++) each[columns[index]] = values[index][row];
        made.push(each);
        if ((row & 255) === 0) await turn();
      }
      if (!gone) set(made);
    })();
    return () => { gone = true; };
  }, [name]);
  return rows;
}

/** How many of a list are drawn: `step` more in a task of its own each, so that a long list is no long task. What is
 * drawn already costs nothing again if its elements are the same objects: they are to be made once (useMemo). */
export function useGrowing(total: number, step: number): number {
  const [number, set] = useState(step);
  useEffect(() => {
    if (number >= total) return undefined;
    const timer = setTimeout(() => set(number + step));
    return () => clearTimeout(timer);
  }, [number, total, step]);
  return Math.min(number, total);
}

export const text = (value: Value): string => (typeof value === "string" ? value : value === null || value === undefined ? "" : String(value));

export function grouped<T>(items: Iterable<T>, key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item), group = groups.get(name);
    if (group) group.push(item); else groups.set(name, [item]);
  }
  return groups;
}
