// SPDX-License-Identifier: Apache-2.0
// Findings, the worst first, each with the rows that prove it.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Finding, head, type Proof, SEVERITIES, type Severity } from "./data";
import { Grid } from "./grid";
import { place, SeverityMark, Words } from "./marks";
import { NoteBox, useNotes } from "./notes";
import { toFinding } from "./route";
import { count, iso, plural, Safe } from "./text";

export function Findings({ id }: { id: string }) {
  const notes = useNotes();
  const [off, setOff] = useState<Severity[]>([]);
  const [hideBenign, hide] = useState(false);
  const shown = head.findings.filter((each) => !off.includes(each.severity) && !(hideBenign && notes.get(`finding:${each.id}`)?.benign));
  const open = head.findings.find((each) => each.id === id) ?? (id ? undefined : shown[0]);
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => { list.current?.querySelector("[aria-current=true]")?.scrollIntoView({ block: "nearest" }); }, [id]);
  if (!head.findings.length) return <p class="none">No finding. <a href="#limits">What was looked for, and what could not be read</a></p>;
  const step = (by: number) => {
    const next = shown[Math.max(0, Math.min(shown.length - 1, shown.findIndex((each) => each.id === open?.id) + by))];
    if (next) { location.hash = toFinding(next.id); }
  };
  return (
    <div class={open ? "split open" : "split"} onKeyDown={(event) => {
      if ((event.target as HTMLElement).matches("input, textarea, [role=grid]")) return;
      if (event.key === "ArrowDown" || event.key === "j") { event.preventDefault(); step(1); }
      if (event.key === "ArrowUp" || event.key === "k") { event.preventDefault(); step(-1); }
    }}>
      <div class="list">
        <div class="tools">
          {SEVERITIES.filter((severity) => head.findings.some((each) => each.severity === severity)).map((severity) => (
            <label><input type="checkbox" checked={!off.includes(severity)}
              onChange={() => setOff(off.includes(severity) ? off.filter((each) => each !== severity) : [...off, severity])} />
              <SeverityMark severity={severity} /> {count(head.findings.filter((each) => each.severity === severity).length)}</label>
          ))}
          <label><input type="checkbox" checked={hideBenign} onChange={() => hide(!hideBenign)} /> without what is marked benign</label>
        </div>
        <ul class="findings" ref={list}>
          {shown.map((each) => (
            <li>
              <a href={toFinding(each.id)} aria-current={each.id === open?.id} class={notes.get(`finding:${each.id}`)?.benign ? "benign" : ""}>
                <SeverityMark severity={each.severity} /> <b><Safe text={each.kind} /></b> <time>{iso(each.first_seen)}</time><br />
                <Safe text={each.title.length > 180 ? `${each.title.slice(0, 180)}…` : each.title} />
              </a>
            </li>
          ))}
        </ul>
      </div>
      {open ? <One key={open.id} finding={open} /> : <p class="none hint">{id ? "The case has no finding of this id." : "Every finding is left out by the boxes at the left."}</p>}
    </div>
  );
}

function One({ finding }: { finding: Finding }) {
  const v19 = finding.technique_v19 !== finding.technique ? `, ${finding.technique_v19} since v19` : "";
  return (
    <article class="one" aria-label={finding.id}>
      <h2><SeverityMark severity={finding.severity} /> <Safe text={finding.title} /></h2>
      <dl class="facts">
        <dt>since</dt><dd>{iso(finding.first_seen)} UTC</dd>
        <dt>where</dt><dd><Safe text={place(finding)} />{finding.pid !== null && `, pid ${finding.pid}`}</dd>
        <dt>severity</dt><dd><Safe text={finding.reason} /></dd>
        <dt>ATT&CK</dt><dd><Safe text={`${finding.technique} ${finding.technique_name} (${finding.tactics.join(", ")}), v${finding.attack_version}${v19}`} /></dd>
        <dt>why</dt><dd><Safe text={finding.why} /></dd>
        <List name="look at next" items={finding.check_next} />
        <List name="harmless, and looks the same" items={finding.benign} />
        <List name="what may be missed" items={finding.missed} />
        <List name="known as" items={finding.also_known} />
        <dt>id</dt><dd><code><Safe text={finding.id} /></code></dd>
      </dl>
      <h3>Rows that prove it</h3>
      {finding.evidence.map((proof) => <Proved proof={proof} />)}
      <NoteBox target={`finding:${finding.id}`} />
    </article>
  );
}

function Proved({ proof }: { proof: Proof }) {
  const [rows] = useState(proof.rows);
  return (
    <div class="proof-rows">
      <p><code>select * from <Safe text={proof.table} /> where <Safe text={proof.key} /></code></p>
      {rows === null ? <p class="none">This condition cannot be asked of the table: the finding was not written by memir, or the table is of another run.</p>
        : rows.length === 0 ? <p class="none">No row fits it.</p>
        : <Grid name={proof.table} within={rows} />}
      {proof.more > 0 && <p>and {plural(proof.more, "more row")}</p>}
    </div>
  );
}

function List({ name, items }: { name: string; items: string[] }) {
  if (!items.length) return null;
  return <><dt>{name}</dt><dd>{items.length === 1 ? <Words text={items[0]} /> : <ul>{items.map((item) => <li><Words text={item} /></li>)}</ul>}</dd></>;
}
