// SPDX-License-Identifier: Apache-2.0
// The report as a document to print: what a reader without a browser needs, in the order in which it is read.
import { type Finding, head, SEVERITIES } from "./data";
import { place, SeverityMark, Words } from "./marks";
import { useNotes } from "./notes";
import { Custody, Limits } from "./simple";
import { Story } from "./story";
import { count, iso, plural, Safe } from "./text";

const MOST = 300; // findings
const CUT = 420; // characters of a title: the page itself has all

const WORDS = [
  ["node", "A machine of a Kubernetes cluster. It runs the programs of many pods, and its own."],
  ["pod, container", "A container is a program with files of its own, shut off from others on the node; a pod is one or more containers that belong together. namespace/pod/container is the full name of one."],
  ["namespace", "In a pod's name: a part of the cluster, as a folder is of a disk. In the kernel (mnt_ns, pid_ns, net_ns): what a process sees of files, processes, the network. One that has the node's (host) is shut off from nothing."],
  ["process, pid", "A program that runs, and the number that it has on the node."],
  ["cgroup", "The kernel's list of which processes belong to which container."],
  ["memory, image", "RAM: what the machine works with, and loses when it is turned off. Its image is a copy. The image of a container is something else: the files that it starts from."],
  ["in memory alone (memfd), deleted", "A program that runs and is in no file, or no more: a copy of the disk does not have it."],
  ["token, secret", "What a program shows to be let in, as a password."],
  ["SHA-256, seal", "A number made of all of a file's bytes: who changes one byte gets another number. The seal is such a number of all that the case has."],
  ["witness", "An independent place in memory that says the same thing, or does not. A process that some have and others lack was hidden by somebody."],
] as const;

export function Print() {
  const { record, custody, methods } = head;
  const counts = SEVERITIES.map((severity) => [severity, head.findings.filter((each) => each.severity === severity).length] as const).filter(([, number]) => number);
  return (
    <article class="document">
      <p class="sub no-print"><button onClick={() => print()}>Print, or save as PDF</button> or <code>chromium --headless --no-pdf-header-footer --print-to-pdf=report.pdf 'file:///…/report.html#print'</code></p>
      <section class="cover">
        <h2>Examination of the memory of <Safe text={head.node ?? "a node whose name is not known"} /></h2>
        <dl class="facts">
          <dt>memory taken</dt><dd>{head.clock}</dd>
          <dt>examined</dt><dd>{iso(methods.runs.at(-1)?.when ?? null)}{methods.runs.length > 0 && " UTC"}; this report: {iso(head.made)} UTC</dd>
          <dt>evidence</dt><dd><Safe text={record.evidence?.image ?? (record.images ?? []).join(", ")} />, SHA-256 {record.evidence?.sha256 ?? "not recorded"}</dd>
          <dt>how much of it</dt><dd><Safe text={head.coverage} /></dd>
          <dt>findings</dt><dd>{counts.length ? counts.map(([severity, number]) => `${count(number)} ${severity}`).join(", ") : "none"}</dd>
          <dt>seal of the case</dt><dd>{custody.holds ? "holds" : "does not hold"}; <code>{custody.head}</code></dd>
        </dl>
        <p>A finding is an observation that deserves a look, not a verdict: each says why it was made, what harmless thing looks the same, and what it may miss.
          Times are UTC{record.evidence ? ", by the clock of the examined machine" : ""}. {head.redacted && "Names and addresses are pseudonyms, each the same throughout."}</p>
      </section>
      <section><h2 class="part">What happened</h2><Story whole /></section>
      <section>
        <h2 class="part">Findings, each with what proves it</h2>
        {head.findings.length === 0 && <p>None.</p>}
        {head.findings.slice(0, MOST).map((each, index) => <One key={each.id} finding={each} number={index + 1} />)}
        {head.findings.length > MOST && <p>{plural(head.findings.length - MOST, "more finding")}, less severe, are in the file that this was printed from.</p>}
      </section>
      <section><h2 class="part">What could not be read, and what was not seen</h2><Limits /></section>
      <section><h2 class="part">Custody</h2><Custody /></section>
      <section class="terms">
        <h2 class="part">Words</h2>
        <dl class="facts">{WORDS.map(([word, meaning]) => <><dt>{word}</dt><dd>{meaning}</dd></>)}</dl>
      </section>
      <section>
        <h2 class="part">How it was done</h2>
        <p>memir {head.memir}, Python {methods.python}, {Object.entries(methods.libraries).map(([name, version]) => `${name} ${version}`).join(", ")}. Kernel of the examined machine: <Safe text={record.kernel?.release ?? "not known"} />. Techniques: MITRE ATT&CK v{methods.attack}.
          {" "}{plural(head.tables.length, "table")} with {count(head.tables.reduce((sum, each) => sum + each.rows, 0))} rows are in the file that this was printed from; how each kind of finding is decided is in its view Methods.</p>
      </section>
    </article>
  );
}

function One({ finding, number }: { finding: Finding; number: number }) {
  const note = useNotes().get(`finding:${finding.id}`);
  const cut = (words: string) => (words.length > CUT ? `${words.slice(0, CUT)}…` : words);
  return (
    <section class="one-printed">
      <h3>{number}. <SeverityMark severity={finding.severity} /> <Safe text={cut(finding.title)} /></h3>
      <dl class="facts">
        <dt>since</dt><dd>{iso(finding.first_seen)}{finding.first_seen && " UTC"}</dd>
        <dt>where</dt><dd><Safe text={place(finding)} />{finding.pid !== null && `, pid ${finding.pid}`}</dd>
        <dt>why</dt><dd><Safe text={finding.why} /></dd>
        <dt>why {finding.severity}</dt><dd><Safe text={finding.reason} /></dd>
        <dt>technique</dt><dd><Safe text={`${finding.technique} ${finding.technique_name}`} /> (MITRE ATT&CK)</dd>
        {finding.benign.length > 0 && <><dt>harmless, and looks the same</dt><dd><Words text={finding.benign.join("; ")} /></dd></>}
        {finding.missed.length > 0 && <><dt>what may be missed</dt><dd><Words text={finding.missed.join("; ")} /></dd></>}
        <dt>proved by</dt><dd>{finding.evidence.map((proof) => <div>{plural((proof.rows?.length ?? 0) + proof.more, "row")} of the table <Safe text={proof.table} />: <code><Safe text={cut(proof.key)} /></code></div>)}</dd>
        {note && <><dt>note</dt><dd>{note.benign && <b>seen, benign. </b>}<Safe text={note.text} /></dd></>}
        <dt>id</dt><dd><code><Safe text={finding.id} /></code></dd>
      </dl>
    </section>
  );
}
