// SPDX-License-Identifier: Apache-2.0
// Where in the report one is, as the address says it: #findings, #finding=ID, #table=NAME&row=N&q=WORDS.
import { useEffect, useState } from "preact/hooks";

export interface Route { view: string; id: string; row: number | null; q: string }

export function parse(hash: string): Route {
  const [first, ...rest] = hash.replace(/^#/, "").split("&");
  const equals = first.indexOf("=");
  const view = equals < 0 ? first : first.slice(0, equals);
  const more = new URLSearchParams(rest.join("&"));
  const row = more.get("row");
  return {
    view: view || "story", id: equals < 0 ? "" : decode(first.slice(equals + 1)),
    row: row !== null && /^\d+$/.test(row) ? Number(row) : null, q: more.get("q") ?? "",
  };
}

function decode(text: string): string {
  try { return decodeURIComponent(text); } catch { return text; }
}

export const toRow = (table: string, row: number) => `#table=${encodeURIComponent(table)}&row=${row}`;
export const toTable = (table: string, q = "") => `#table=${encodeURIComponent(table)}${q ? `&q=${encodeURIComponent(q)}` : ""}`;
export const toFinding = (id: string) => `#finding=${encodeURIComponent(id)}`;
/** A word of a filter: quoted where it has spaces. */
export const word = (column: string, value: string) => `${column}:"${value.replace(/"/g, "")}"`;

export function useRoute(): Route {
  const [route, set] = useState(() => parse(location.hash));
  useEffect(() => {
    const changed = () => set(parse(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return route;
}
