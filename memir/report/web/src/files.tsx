// SPDX-License-Identifier: Apache-2.0
// What containers changed of their images as a tree with a preview of each file, and every file that memory knows.
import { useEffect, useState } from "preact/hooks";
import { head, provedBy, tables } from "./data";
import { Grid } from "./grid";
import { Badges, Marks } from "./marks";
import { Preview } from "./preview";
import { toRow, toTable } from "./route";
import { count, plural, Safe, time } from "./text";
import { type Drifted, drift, type Folder, joined } from "./tree";
import { type Row, text } from "./use";

const SHOWN = 60; // of a folder, at first
const FEW = 12; // changes of a container that are all open at first

export function Files() {
  const [noise, show] = useState(false);
  const [containers, set] = useState<Drifted[] | null>(null);
  useEffect(() => {
    let gone = false;
    drift(noise, () => gone).then((made) => { if (made && !gone) set(made); });
    return () => { gone = true; };
  }, [noise]);
  if (!tables.has("inodes")) return <Grid name="inodes" />;
  return (
    <>
      <h2>What containers changed of their images</h2>
      <p class="sub">As far as memory knows their files: what was written long ago and is not in use may be gone from it. <label><input type="checkbox" checked={noise} onChange={() => show(!noise)} /> with mount points, pid files, directories</label></p>
      <About />
      {containers === null ? <p class="none">reading …</p> : containers.length === 0 ? <p class="none">No change of an image is in memory.</p>
        : containers.map((each) => <Container key={each.title} of={each} />)}
      <h2>Every file that memory knows</h2>
      <p class="sub">{tables.get("inodes")!.head.doc}</p>
      <Grid name="inodes" />
      {["files", "lookups", "mounts"].filter((name) => tables.has(name)).map((name) => (
        <p><a href={toTable(name)}><b>{name}</b></a>: {plural(tables.get(name)!.rows, "row")}. {tables.get(name)!.head.doc}</p>
      ))}
    </>
  );
}

/** Whether content can be looked at, and what to do if not. */
function About() {
  const table = tables.get("previews");
  if (head.redacted && table) return <p class="sub">Content of files is left out of a redacted report.</p>;
  if (table) return <p class="sub">Open a file for the first page of it that is in RAM: {plural(table.rows, "file")} were read from the image when this report was made. Secrets in them are masked.</p>;
  return <p class="sub">This report has no content of files: it was made without the image. <code>memir report CASE --image IMAGE -o report.html</code> puts the beginning of each into it.</p>;
}

function Container({ of }: { of: Drifted }) {
  const [open, toggle] = useState(of.root.proved > 0 || of.root.number <= FEW);
  return (
    <details class={of.root.proved ? "drift medium" : "drift"} open={open} onToggle={(event) => toggle(event.currentTarget.open)}>
      <summary><b><Safe text={of.title} /></b> <small>{plural(of.root.number, "file")}, {count(of.bytes)} bytes of them in RAM{of.root.proved > 0 && `, ${of.root.proved} with findings`}</small></summary>
      {open && <Inside of={of.root} open />}
    </details>
  );
}

/** What lies in a folder: folders, then files. open: so are the folders with few files or with findings. */
function Inside({ of, open }: { of: Folder; open: boolean }) {
  const [all, show] = useState(false);
  const folders = [...of.folders.values()].map(joined).sort((a, b) => b.proved - a.proved || (a.name < b.name ? -1 : 1));
  const files = [...of.files].sort((a, b) => Number(provedBy.has(`inodes:${b.row}`)) - Number(provedBy.has(`inodes:${a.row}`)) || (text(a.container_path ?? a.path) < text(b.container_path ?? b.path) ? -1 : 1));
  const number = folders.length + files.length, room = all ? number : SHOWN;
  return (
    <ul class="tree">
      {folders.slice(0, room).map((each) => <li key={each.path}><Branch of={each} open={open} /></li>)}
      {files.slice(0, Math.max(0, room - folders.length)).map((each) => <li key={each.row}><File of={each} folder={of.path} /></li>)}
      {number > room && <li><button class="more" onClick={() => show(true)}>{count(number - room)} more</button></li>}
    </ul>
  );
}

function Branch({ of, open: first }: { of: Folder; open: boolean }) {
  const [open, toggle] = useState(first && (of.proved > 0 || of.number <= FEW));
  const line = <>
    {of.own && <Change of={of.own} />}<span class="folder"><Safe text={`${of.name}/`} /></span>
    {of.own?.deleted === true && <em> deleted</em>} <small>{of.number > 0 && plural(of.number, "file")}{of.proved > 0 && `, ${of.proved} with findings`}</small> {of.own && <Marks findings={provedBy.get(`inodes:${of.own.row}`) ?? []} />}
  </>;
  const row = of.own && <a class="lead" href={toRow("inodes", of.own.row)}>the directory</a>;
  if (!of.folders.size && !of.files.length) return <div class="leaf">{line}{row}</div>;
  return (
    <details open={open} onToggle={(event) => toggle(event.currentTarget.open)}>
      <summary>{line}</summary>
      {open && <>{of.own && <p class="sub">{row} <Badges findings={provedBy.get(`inodes:${of.own.row}`) ?? []} /></p>}<Inside of={of} open={first} /></>}
    </details>
  );
}

/** How an image's file was changed; those that took one away stand out. */
function Change({ of }: { of: Row }) {
  return <span class={of.change === "whiteout" || of.change === "opaque" ? "change gone" : "change"}><Safe text={text(of.change)} /> </span>;
}

function File({ of, folder }: { of: Row; folder: string }) {
  const [open, toggle] = useState(false);
  const path = text(of.container_path ?? of.path), name = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path === folder ? "." : path;
  const proved = provedBy.get(`inodes:${of.row}`) ?? [], regular = of.kind === "regular", size = Number(of.size ?? 0), cached = Number(of.cached ?? 0);
  const content = !regular ? text(of.kind) : size === 0 ? "empty" : of.sha256 ? "whole in RAM" : cached ? `${count(Math.min(cached, size))} bytes in RAM` : "none of it in RAM";
  return (
    <details class="file" onToggle={(event) => toggle(event.currentTarget.open)}>
      <summary>
        {of.change !== null && <Change of={of} />}<span class="name"><Safe text={name || "a file without name"} /></span>
        {of.deleted === true && <em> deleted</em>} <small>{regular && `${count(size)} bytes, `}<Safe text={content} />{typeof of.btime === "number" && `, created ${time(of.btime).slice(0, 19)}`}</small> <Marks findings={proved} />
      </summary>
      {open && <>{proved.length > 0 && <p class="sub">proves <Badges findings={proved} /></p>}{of.sha256 !== null && <p class="sub">SHA-256 <code><Safe text={text(of.sha256)} /></code></p>}<Preview row={of.row} /></>}
    </details>
  );
}
