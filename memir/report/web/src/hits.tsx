// SPDX-License-Identifier: Apache-2.0
// Hits of YARA rules by rule and place, each with what lies around it in memory.
import { useState } from "preact/hooks";
import { provedBy, tables } from "./data";
import { Grid } from "./grid";
import { Badges, Marks, place } from "./marks";
import { toRow, toTable, word } from "./route";
import { cell, count, plural, Safe } from "./text";
import { grouped, type Row, text, useRows } from "./use";

const COLUMNS = ["hit_id", "rule", "namespace_rule", "tags", "meta", "string", "owner", "pid", "path", "vaddr", "paddr", "length", "data", "context", "namespace", "pod_name", "pod_uid", "container_name", "container_id", "source"];

export function Hits() {
  const hits = useRows("hits", COLUMNS);
  if (!hits) return <p class="none">reading …</p>;
  if (!tables.has("hits")) return <p class="none">No rule was run over this memory: <code>memir hunt IMAGE -o CASE</code> does.</p>;
  if (!hits.length) return <p class="none">No rule hit.</p>;
  const rules = [...grouped(hits, (each) => text(each.rule))].sort(([a], [b]) => (a < b ? -1 : 1));
  return (
    <>
      {rules.map(([rule, group]) => <Rule rule={rule} hits={group} />)}
      <h2>Every hit</h2>
      <Grid name="hits" />
    </>
  );
}

function Rule({ rule, hits }: { rule: string; hits: Row[] }) {
  const meta = Array.isArray(hits[0].meta) ? hits[0].meta.map(text) : [];
  const about = meta.find((each) => each.startsWith("description="))?.slice(12);
  const places = [...grouped(hits, (each) => `${place(each)}${each.pid === null ? "" : `, pid ${each.pid}`} (${text(each.owner)})`)];
  return (
    <section>
      <h2><Safe text={rule} /> <small>{plural(new Set(hits.map((each) => each.hit_id)).size, "hit")}, <Safe text={text(hits[0].namespace_rule)} /></small></h2>
      {about && <p class="sub"><Safe text={about} /></p>}
      {places.map(([name, group]) => <Place name={name} hits={group} rule={rule} />)}
    </section>
  );
}

function Place({ name, hits, rule }: { name: string; hits: Row[]; rule: string }) {
  const [open, toggle] = useState(false);
  const findings = [...new Set(hits.flatMap((each) => provedBy.get(`hits:${each.row}`) ?? []))];
  return (
    <details class="hit" onToggle={(event) => toggle(event.currentTarget.open)}>
      <summary>{count(hits.length)} in <Safe text={name} /> <Marks findings={findings} /></summary>
      {open && findings.length > 0 && <p><Badges findings={findings} /></p>}
      {open && hits.slice(0, 20).map((each) => (
        <div>
          <p><a href={toRow("hits", each.row)}><Safe text={text(each.string)} /></a> at <code>{each.vaddr === null ? `physical ${cell(each.paddr, "uint64", "paddr")}` : cell(each.vaddr, "uint64", "vaddr")}</code>, {plural(Number(each.length), "byte")}{each.path !== null && <> in <Safe text={text(each.path)} /></>}</p>
          <pre class="data"><Safe text={text(each.data)} /></pre>
          {each.context !== null && <pre class="hex" tabIndex={0} aria-label="Bytes around the hit"><Safe text={text(each.context)} lines /></pre>}
        </div>
      ))}
      {open && hits.length > 20 && <p><a href={toTable("hits", word("rule", rule))}>{count(hits.length - 20)} more in the table</a></p>}
    </details>
  );
}
