// SPDX-License-Identifier: Apache-2.0
// Views that are tables with some words: kernel, logs, secrets, limits, custody, methods, all tables.
import { useState } from "preact/hooks";
import { head, tables } from "./data";
import { Grid } from "./grid";
import { toTable } from "./route";
import { count, iso, Safe } from "./text";

export function KernelView() {
  const names = ["modules", "hooks", "bpf"].filter((name) => tables.has(name));
  return (
    <>
      <p class="lead-text">{head.kernel ? <Safe text={`${head.kernel}.`} /> : "Modules, hooks and BPF were not read: the case says nothing of whether the kernel was changed."}</p>
      {names.map((name) => <><h2>{name}</h2><p class="sub">{tables.get(name)!.head.doc}</p><Grid name={name} /></>)}
    </>
  );
}

export function Logs() {
  return <><p class="lead-text">What lay of logs in memory: the kernel's ring buffer, the journal, containers' logs. What is not here may have been written all the same.</p>
    {OTHER_LOGS.filter((name) => tables.has(name)).map((name) => <><h2>{name}</h2><p class="sub">{tables.get(name)!.head.doc}</p><Grid name={name} /></>)}
    <h2>log</h2><Grid name="log" tall /></>;
}
/** Tables that logs from outside of memory give, the sessions first. */
const OTHER_LOGS = ["sessions", "audit", "authenticator", "cloudtrail", "flowlogs", "guardduty", "guardduty_claims"];

export function Secrets() {
  return (
    <>
      <p class="lead-text">Secrets that lay in memory, each by its fingerprint: equal fingerprints are equal secrets. None is in this file in clear; <code>memir query CASE --reveal</code> has them.</p>
      <Grid name="secrets" tall />
    </>
  );
}

export function TableView({ name, query, row }: { name: string; query: string; row: number | null }) {
  const table = tables.get(name);
  return <><p class="sub"><a href="#tables">all tables</a> › <b>{name}</b> {table?.head.doc}</p><Grid name={name} query={query} selected={row} tall /></>;
}

export function Tables() {
  return (
    <>
      <p class="lead-text">Every table of the case. <code>memir query CASE 'select ... from TABLE'</code> asks them in SQL.</p>
      <table>
        <thead><tr><th>table</th><th class="number">rows</th><th>what a row is</th></tr></thead>
        <tbody>{head.tables.map((each) => <tr><td class={each.name.length < 24 ? "short" : ""}><a href={toTable(each.name)}><b>{each.name}</b></a></td><td class="number">{count(each.rows)}</td><td>{each.doc}</td></tr>)}</tbody>
      </table>
    </>
  );
}

export function Limits() {
  return (
    <>
      <p class="lead-text"><Safe text={head.coverage} />. {head.whole ? "" : "What lay in the rest was not seen: that something is absent proves nothing."}</p>
      <h2>What could not be read</h2>
      {head.gaps.length === 0 ? <p>Nothing of what was looked for.</p> : (
        <table>
          <thead><tr><th>how many</th><th>what</th><th>why</th><th>for example</th></tr></thead>
          <tbody>{head.gaps.map((gap) => <tr><td class="number">{count(gap.count)}</td><td class={gap.kind.length < 24 ? "short" : ""}><Safe text={gap.kind} /></td><td><Safe text={gap.why} /></td><td><Safe text={gap.where} /></td></tr>)}</tbody>
        </table>
      )}
      <h2>Looked for and not seen</h2>
      {head.clean.length === 0 ? <p>Every kind that was looked for was seen, or none could be looked for.</p> : (
        <dl class="facts">{head.clean.map((each) => <><dt>{each.kind}</dt><dd>{each.title}. <small>{each.how}</small></dd></>)}</dl>
      )}
      {head.unable.length > 0 && <>
        <h2>Not looked for</h2>
        <dl class="facts">{head.unable.map((each) => <><dt>{each.kind}</dt><dd>the case has no table {each.tables.join(" and ")}</dd></>)}</dl>
      </>}
    </>
  );
}

export function Custody() {
  const { custody, record } = head;
  return (
    <>
      <p class={custody.holds ? "lead-text" : "lead-text bad"}>
        {custody.holds ? "When this report was made, every table, case.json and the chain were as they were sealed" : "When this report was made, the case was not as it was sealed"}
        {" "}({iso(head.made)} UTC, memir {head.memir}). {custody.signer ? "The seal is " : "The seal is "}<Safe text={custody.signed} />. <code>memir verify CASE</code> checks it again.
      </p>
      {custody.problems.length > 0 && <ul class="bad">{custody.problems.map((each: string) => <li><Safe text={each} /></li>)}</ul>}
      <dl class="facts">
        <dt>image</dt><dd><Safe text={record.evidence?.image ?? (record.images ?? []).join(", ")} /></dd>
        <dt>format, size</dt><dd>{record.evidence ? <Safe text={`${record.evidence.format}, ${count(record.evidence.file_size)} bytes`} /> : "not known"}</dd>
        <dt>SHA-256</dt><dd>{record.evidence?.sha256 ?? "not recorded (memir analyze --sha256)"}</dd>
        <dt>identity</dt><dd><Safe text={custody.identity ?? "not known"} /></dd>
        <dt>taken</dt><dd>{head.clock}</dd>
        <dt>smear</dt><dd><Safe text={record.evidence?.smear?.text ?? "not measured"} /></dd>
        <dt>hash of the seal</dt><dd><code>{custody.head}</code></dd>
      </dl>
      <h2>Chain</h2>
      {custody.entries.map((entry: any) => <Entry entry={entry} />)}
    </>
  );
}

function Entry({ entry }: { entry: any }) {
  const [open, toggle] = useState(false);
  return (
    <details onToggle={(event) => toggle(event.currentTarget.open)}>
      <summary>{entry.seq}: {iso(entry.utc)} UTC, memir {entry.memir} {entry.event}: {entry.written.length} tables {entry.replaced && <>; replaced <Safe text={entry.replaced} /></>} <code>{entry.hash.slice(0, 16)}…</code></summary>
      {open && (
        <dl class="facts">
          <dt>hash</dt><dd><code>{entry.hash}</code></dd>
          <dt>case.json</dt><dd><code>{entry.case}</code></dd>
          {entry.inputs.map((each: any) => <><dt>{each.kind}</dt><dd><Safe text={each.path} /> <code>{each.sha256 ?? "not hashed"}</code></dd></>)}
          {Object.entries(entry.tables).map(([name, hash]) => <><dt>{name}</dt><dd><code>{String(hash)}</code></dd></>)}
        </dl>
      )}
    </details>
  );
}

export function Methods() {
  const { methods, record } = head;
  const kernel = record.kernel;
  return (
    <>
      <p class="lead-text">Made by memir {head.memir} at {iso(head.made)} UTC with Python {methods.python}: {Object.entries(methods.libraries).map(([name, version]) => `${name} ${version}`).join(", ")}.</p>
      {kernel && <>
        <h2>Kernel in the image</h2>
        <dl class="facts">
          <dt>banner</dt><dd><Safe text={kernel.banner} /></dd>
          <dt>build id</dt><dd><code>{kernel.build_id ?? "not known"}</code></dd>
          <dt>paging, KASLR</dt><dd>{kernel.paging_levels} levels, shift {String(kernel.kaslr_shift)}</dd>
          <dt>symbols</dt><dd>{count(kernel.symbols)}: {Object.entries(kernel.sources).map(([what, where]) => `${what}: ${where}`).join("; ")}</dd>
        </dl>
      </>}
      <h2>Runs</h2>
      {methods.runs.map((run: any) => (
        <details>
          <summary>{iso(run.when)} UTC, memir {run.memir} {run.command}, {run.seconds} s {run.hunt && `: ${run.hunt.rules.count} YARA rules, ${count(run.hunt.hits)} hits`}</summary>
          <dl class="facts">
            {run.hunt && <><dt>rules</dt><dd>{run.hunt.rules.files.map((each: string) => <><Safe text={each} /><br /></>)}</dd></>}
            <dt>rows written</dt><dd>{Object.entries(run.tables).map(([name, rows]) => `${name} ${count(Number(rows))}`).join(", ")}</dd>
          </dl>
        </details>
      ))}
      <h2>How findings are decided <small>MITRE ATT&CK v{methods.attack}</small></h2>
      <dl class="facts">{methods.detections.map((each: any) => <><dt>{each.kind}</dt><dd>{each.how} <small>{each.technique}; tables {each.tables.join(", ")}</small></dd></>)}</dl>
      <h2>Parts of this page</h2>
      {head.licenses.map((each) => <details><summary>{each.name} {each.version}, {each.license}</summary><pre>{each.text}</pre></details>)}
    </>
  );
}
