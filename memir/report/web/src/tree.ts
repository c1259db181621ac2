// SPDX-License-Identifier: Apache-2.0
// Files by container and directory, made of the columns in slices; only changed files become objects.
import { provedBy, tables, turn, type Value } from "./data";
import { place } from "./marks";
import { type Row, text } from "./use";

export interface Folder { name: string; path: string; folders: Map<string, Folder>; files: Row[]; own: Row | null; number: number; proved: number }
export interface Drifted { title: string; root: Folder; bytes: number }

const COLUMNS = ["change", "noise", "container_path", "path", "kind", "size", "cached", "btime", "mtime", "deleted", "freed", "layer", "sha256", "namespace", "pod_name", "pod_uid", "container_name", "container_id"];
const DEEP = 40; // folders in each other; a hostile path may have thousands

const folder = (name: string, path: string): Folder => ({ name, path, folders: new Map(), files: [], own: null, number: 0, proved: 0 });

/** Containers with what they changed of their images, and files of theirs that have no name any more. noise: also what is no news. */
export async function drift(noise: boolean, cancelled: () => boolean): Promise<Drifted[] | null> {
  const table = tables.get("inodes");
  if (!table) return [];
  const values = await table.load(COLUMNS), at = (name: string, row: number): Value => values[COLUMNS.indexOf(name)][row];
  const [changes, noises] = values, deleted = values[COLUMNS.indexOf("deleted")], owned = values[COLUMNS.indexOf("container_id")], kinds = values[COLUMNS.indexOf("kind")];
  const made = new Map<string, Drifted>();
  for (let row = 0; row < table.rows; row++) {
    if ((row & 63) === 0) { const wait = turn(); if (wait) { await wait; if (cancelled()) return null; } }
    const lost = changes[row] === null && deleted[row] === true && owned[row] !== null && kinds[row] === "regular" && at("freed", row) !== true && at("layer", row) !== "merged"; // which shows a layer's file once more
    const proved = provedBy.has(`inodes:${row}`);
    if ((changes[row] === null && !lost && !proved) || (noises[row] !== null && !noise && !proved)) continue;
    const each: Row = { row };
    for (const name of COLUMNS) each[name] = at(name, row);
    const title = place(each);
    const whole = made.get(title) ?? made.set(title, { title, root: folder("", ""), bytes: 0 }).get(title)!;
    whole.bytes += Number(each.cached ?? 0);
    add(whole.root, each, proved);
  }
  return [...made.values()].filter((each) => each.root.files.length || each.root.folders.size).sort((a, b) => b.root.proved - a.root.proved || (a.title < b.title ? -1 : 1));
}

function add(root: Folder, row: Row, proved: boolean): void {
  const parts = text(row.container_path ?? row.path).slice(0, 8192).split("/").filter(Boolean);
  const names = parts.length > DEEP ? [...parts.slice(0, DEEP - 1), parts.slice(DEEP - 1).join("/")] : parts;
  const own = row.kind === "directory" ? names : names.slice(0, -1); // a directory that changed is a folder of the tree
  let here = root;
  for (const name of ["", ...own]) {
    if (name) here = here.folders.get(name) ?? here.folders.set(name, folder(name, `${here.path}/${name}`)).get(name)!;
    if (row.kind !== "directory") here.number++;
    if (proved) here.proved++;
  }
  if (row.kind === "directory") here.own = row; else here.files.push(row);
}

/** A folder's only folder is shown with it in one line: `/var/log/nginx`. */
export function joined(each: Folder): Folder {
  let here = each, name = each.name;
  while (here.folders.size === 1 && here.files.length === 0 && here.own === null) {
    here = [...here.folders.values()][0];
    name = `${name}/${here.name}`;
  }
  return here === each ? each : { ...here, name };
}
