// SPDX-License-Identifier: Apache-2.0
// What containers changed of their images, what they have open, and what they looked for and did not find.
import { useState } from "preact/hooks";
import { provedBy, tables } from "./data";
import { Grid } from "./grid";
import { Badges, place } from "./marks";
import { toRow, toTable } from "./route";
import { count, plural, Safe, time } from "./text";
import { grouped, type Row, text, useRows } from "./use";

const COLUMNS = ["change", "noise", "container_path", "path", "kind", "size", "btime", "mtime", "deleted", "cached", "sha256", "namespace", "pod_name", "pod_uid", "container_name", "container_id"];
const SHOWN = 60;

export function Files() {
  const inodes = useRows("inodes", COLUMNS);
  const [noise, show] = useState(false);
  if (!inodes) return <p class="none">reading …</p>;
  if (!tables.has("inodes")) return <Grid name="inodes" />;
  const changed = inodes.filter((each) => each.change !== null && (noise || each.noise === null || provedBy.has(`inodes:${each.row}`)));
  const containers = [...grouped(changed, place)].sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <>
      <h2>What containers changed of their images</h2>
      <p class="sub">As far as memory knows their files: what was written long ago and is not in use may be gone from it. <label><input type="checkbox" checked={noise} onChange={() => show(!noise)} /> with mount points, pid files, directories</label></p>
      {containers.length === 0 && <p class="none">No change of an image is in memory.</p>}
      {containers.map(([name, group]) => <Drift name={name} rows={group} />)}
      <h2>Every file that memory knows</h2>
      <p class="sub">{tables.get("inodes")!.head.doc}</p>
      <Grid name="inodes" />
      {["files", "lookups", "mounts"].filter((name) => tables.has(name)).map((name) => (
        <p><a href={toTable(name)}><b>{name}</b></a>: {plural(tables.get(name)!.rows, "row")}. {tables.get(name)!.head.doc}</p>
      ))}
    </>
  );
}

function Drift({ name, rows }: { name: string; rows: Row[] }) {
  const [all, show] = useState(false);
  const ordered = [...rows].sort((a, b) => Number(provedBy.has(`inodes:${b.row}`)) - Number(provedBy.has(`inodes:${a.row}`)) || (text(a.container_path ?? a.path) < text(b.container_path ?? b.path) ? -1 : 1));
  return (
    <section class="drift">
      <h3><Safe text={name} /> <small>{plural(rows.length, "change")}</small></h3>
      <table>
        <thead><tr><th>change</th><th>path</th><th class="number">bytes</th><th>created</th><th>content</th><th>findings</th></tr></thead>
        <tbody>
          {ordered.slice(0, all ? undefined : SHOWN).map((each) => (
            <tr>
              <td>{text(each.change)}{each.deleted === true && <em> deleted</em>}</td>
              <td class="path"><a href={toRow("inodes", each.row)}><Safe text={text(each.container_path ?? each.path) || "a file without name"} /></a>{each.kind === "directory" ? "/" : ""}</td>
              <td class="number">{each.size === null || each.kind === "directory" ? "" : count(Number(each.size))}</td>
              <td>{typeof each.btime === "number" ? time(each.btime).slice(0, 19) : "not known"}</td>
              <td>{each.kind === "directory" ? "" : each.sha256 ? <>whole, sha256 <code>{text(each.sha256).slice(0, 12)}…</code></> : `${count(Number(each.cached ?? 0))} bytes in memory`}</td>
              <td><Badges findings={provedBy.get(`inodes:${each.row}`) ?? []} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      {!all && rows.length > SHOWN && <button class="more" onClick={() => show(true)}>{count(rows.length - SHOWN)} more</button>}
    </section>
  );
}
