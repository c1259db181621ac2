// SPDX-License-Identifier: Apache-2.0
// Who listens and who talks with whom, by pod, node and outside; loopback within one place is left to the table.
import { provedBy, SEVERITIES, tables, type Finding } from "./data";
import { Grid } from "./grid";
import { Badges } from "./marks";
import { toRow, toTable, word } from "./route";
import { plain, plural, Safe } from "./text";
import { grouped, type Row, text, useRows } from "./use";

const COLUMNS = ["namespace", "pod_name", "container_id", "shared_by", "family", "protocol", "local", "local_port", "remote", "remote_port", "state", "remote_name", "remote_kind", "pid"];
const QUIET = new Set(["loopback", "multicast", "process", ""]);
const EPHEMERAL = 32768;
const NODE = "the node";

interface Edge { from: string; to: string; label: string; ended: boolean; rows: number[]; findings: Finding[] }

function edges(sockets: Row[]): { listens: Map<string, Set<string>>; edges: Edge[] } {
  const listens = new Map<string, Set<string>>(), made = new Map<string, Edge>();
  for (const row of sockets) {
    const family = text(row.family);
    if (family !== "inet" && family !== "inet6") continue;
    const own = row.pod_name ? `${text(row.namespace)}/${text(row.pod_name)}` : row.container_id ? `container ${text(row.container_id).slice(0, 12)}` : NODE;
    const local = text(row.local), port = Number(row.local_port ?? 0), remotePort = Number(row.remote_port ?? 0), kind = text(row.remote_kind);
    if ((row.state === "LISTEN" || (row.protocol === "udp" && !remotePort)) && port) {
      if (!local.startsWith("127.") && local !== "::1" && row.protocol !== "mptcp") (listens.get(own) ?? listens.set(own, new Set()).get(own)!).add(`${text(row.protocol)} ${port}`);
      continue;
    }
    if (!remotePort || QUIET.has(kind)) continue;
    const other = text(row.remote_name) || `${kind} ${text(row.remote).replace(/^::ffff:/, "")}`;
    const called = remotePort >= EPHEMERAL && port > 0 && port < EPHEMERAL; // this end was most likely the one that was called
    const ended = row.state === "ended" || row.state === "TIME_WAIT";
    const [from, to, on] = called ? [other, own, port] : [own, other, remotePort];
    const key = `${from}\0${to}\0${on}\0${ended}`;
    const edge = made.get(key) ?? made.set(key, { from, to, label: `${text(row.protocol)} ${on}`, ended, rows: [], findings: [] }).get(key)!;
    edge.rows.push(row.row);
    for (const each of provedBy.get(`sockets:${row.row}`) ?? []) if (!edge.findings.includes(each)) edge.findings.push(each);
  }
  for (const edge of made.values()) edge.findings.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity));
  return { listens, edges: [...made.values()].sort((a, b) => rank(a) - rank(b) || (a.from < b.from ? -1 : 1)) };
}

const rank = (edge: Edge) => (edge.findings.length ? Math.min(...edge.findings.map((each) => SEVERITIES.indexOf(each.severity))) : 9) + (edge.ended ? 20 : 0);

export function Network() {
  const sockets = useRows("sockets", COLUMNS);
  if (!sockets) return <p class="none">reading …</p>;
  if (!tables.has("sockets")) return <Grid name="sockets" />;
  const { listens, edges: all } = edges(sockets);
  const open = all.filter((each) => !each.ended);
  return (
    <>
      <h2>Who talks with whom</h2>
      {all.length === 0 ? <p class="none">No connection beyond a place's own loopback is in memory.</p> : <>
        <Graph edges={open} />
        <table>
          <thead><tr><th>from</th><th>to</th><th>on</th><th>state</th><th>sockets</th><th>findings</th></tr></thead>
          <tbody>
            {all.slice(0, 200).map((edge) => (
              <tr>
                <td><Safe text={edge.from} /></td><td><Safe text={edge.to} /></td><td class="short">{edge.label}</td><td class="short">{edge.ended ? "ended" : "open"}</td>
                <td>{edge.rows.slice(0, 3).map((row) => <a class="lead" href={toRow("sockets", row)}>row {row}</a>)}{edge.rows.length > 3 && ` and ${edge.rows.length - 3} more`}</td>
                <td><Badges findings={edge.findings} /></td>
              </tr>
            ))}
          </tbody>
        </table>
        {all.length > 200 && <p class="sub">{plural(all.length - 200, "more pair")} in the table.</p>}
      </>}
      <h2>Who listens</h2>
      {listens.size === 0 ? <p class="none">Nothing listens beyond its own loopback.</p> : (
        <dl class="facts">
          {[...listens].sort(([a], [b]) => (a === NODE ? 1 : b === NODE ? -1 : a < b ? -1 : 1)).map(([name, ports]) => (
            <><dt><Safe text={name} /></dt><dd>{[...ports].join(", ")} <a class="lead" href={toTable("sockets", name === NODE ? "state:LISTEN" : `state:LISTEN ${word("pod_name", name.split("/")[1] ?? name)}`)}>rows</a></dd></>
          ))}
        </dl>
      )}
      <h2>Every socket</h2>
      <Grid name="sockets" sorted="family" />
      {tables.has("conntrack") && <><h2>Connections that the kernel tracks</h2><p class="sub">{tables.get("conntrack")!.head.doc}</p><Grid name="conntrack" /></>}
    </>
  );
}

const W = 1000, BOX = 330, STEP = 34;
/** Two columns, who calls and who is called, with a line a pair. */
function Graph({ edges: all }: { edges: Edge[] }) {
  const shown = all.slice(0, 40);
  const left = [...grouped(shown, (each) => each.from).keys()], right = [...grouped(shown, (each) => each.to).keys()];
  if (!shown.length) return null;
  const height = Math.max(left.length, right.length) * STEP + 10;
  const y = (names: string[], name: string) => names.indexOf(name) * STEP + 20 + ((Math.max(left.length, right.length) - names.length) * STEP) / 2;
  return (
    <svg class="graph" viewBox={`0 0 ${W} ${height}`} role="img" aria-label="Who calls whom; the table below says the same">
      {shown.map((edge) => {
        const a = y(left, edge.from), b = y(right, edge.to), worst = edge.findings[0]?.severity ?? "";
        return <g class={worst}>
          <path d={`M ${BOX} ${a} C ${BOX + 120} ${a}, ${W - BOX - 120} ${b}, ${W - BOX} ${b}`} />
          <text x={W / 2} y={(a + b) / 2 - 4} text-anchor="middle">{edge.label}</text>
        </g>;
      })}
      {[[left, 0], [right, W - BOX]].map(([names, x]) => (names as string[]).map((name) => (
        <g class="box"><rect x={x as number} y={y(names as string[], name) - 13} width={BOX} height={26} rx={5} />
          <text x={(x as number) + 8} y={y(names as string[], name) + 4}>{plain(name.length > 44 ? `${name.slice(0, 43)}…` : name)}</text></g>
      )))}
    </svg>
  );
}
