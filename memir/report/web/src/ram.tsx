// SPDX-License-Identifier: Apache-2.0
// Whose the RAM is: every frame of the image once, by pod and by what it is used for, as a treemap and as a table.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { tables, turn } from "./data";
import { Grid } from "./grid";
import { toTable, word } from "./route";
import { count, plain, plural, Safe } from "./text";
import { type Cell, placed } from "./treemap";
import { text, useGrowing } from "./use";

const COLUMNS = ["kind", "pid", "pids", "path", "name", "bytes", "cgroup_removed", "shared_by", "namespace", "pod_name", "pod_uid", "container_id"];
const LEAVES = 60; // of a kind, drawn one by one
const STEP = 120; // rectangles that are drawn in one task
const HIGH = 560, LETTER = 6.6;
/** Kinds with a colour of their own, in the order of the legend. */
const KINDS = ["anonymous", "file", "tmpfs", "slab", "page table", "kernel stack", "vmalloc", "block device", "kernel", "free", "not known"];
const OWNERS = { shared: "shared by pods", node: "the node", free: "free", unknown: "not known" };

interface Owner { key: string; title: string; order: number; filter: string; size: number; kinds: Map<string, Leaves>; cell: Cell }
interface Leaves { size: number; parts: Map<string, number> }
interface Use { owners: Owner[]; kinds: [string, number][]; total: number; removed: number }

/** Who owns a row, as `memir pages` says it. */
function owner(kind: string, podName: string, podUid: string, namespace: string, container: string, shared: boolean): Omit<Owner, "size" | "kinds" | "cell"> {
  if (kind === "free") return { key: "free", title: OWNERS.free, order: 4, filter: word("kind", "free") };
  if (podUid || podName) {
    return { key: podUid || `${namespace}/${podName}`, title: [namespace, podName || podUid].filter(Boolean).join("/"), order: 0, filter: podName ? word("pod_name", podName) : word("pod_uid", podUid) };
  }
  if (container) return { key: container, title: `container ${container.slice(0, 12)}`, order: 1, filter: word("container_id", container) };
  if (kind === "not known") return { key: "unknown", title: OWNERS.unknown, order: 5, filter: word("kind", "not known") };
  return shared ? { key: "shared", title: OWNERS.shared, order: 2, filter: "" } : { key: "node", title: OWNERS.node, order: 3, filter: "" };
}

/** `comm pid` by pid, where the case has the table processes. */
async function processes(): Promise<Map<number, string>> {
  const table = tables.get("processes"), names = new Map<number, string>();
  if (!table) return names;
  const [pid, comm] = await table.load(["pid", "comm"]);
  for (let row = 0; row < table.rows; row++) if (pid[row] !== null) names.set(Number(pid[row]), `${text(comm[row])} ${pid[row]}`);
  return names;
}

async function read(): Promise<Use> {
  const table = tables.get("pages")!, owners = new Map<string, Owner>(), kinds = new Map<string, number>();
  const names = await processes();
  const [kind, pid, pids, path, name, bytes, gone, shared, namespace, podName, podUid, container] = await table.load(COLUMNS);
  let total = 0, removed = 0;
  for (let row = 0; row < table.rows; row++) {
    const what = text(kind[row]) || "not known", size = Number(bytes[row] ?? 0);
    const whose = owner(what, text(podName[row]), text(podUid[row]), text(namespace[row]), text(container[row]), shared[row] !== null);
    const mine = owners.get(whose.key) ?? owners.set(whose.key, { ...whose, size: 0, kinds: new Map(), cell: { name: whose.title, size: 0, kind: "", cells: [] } }).get(whose.key)!;
    const leaves = mine.kinds.get(what) ?? mine.kinds.set(what, { size: 0, parts: new Map() }).get(what)!;
    const several = pids[row], leaf = text(path[row]) || text(name[row])
      || (pid[row] !== null ? names.get(Number(pid[row])) ?? `pid ${pid[row]}` : Array.isArray(several) && several.length ? `pids ${several.slice(0, 4).join(", ")}${several.length > 4 ? ", …" : ""}` : what);
    mine.size += size;
    leaves.size += size;
    leaves.parts.set(leaf, (leaves.parts.get(leaf) ?? 0) + size);
    kinds.set(what, (kinds.get(what) ?? 0) + size);
    total += size;
    if (gone[row] === true) removed += size;
    if ((row & 255) === 0) await turn();
  }
  for (const each of owners.values()) {
    each.cell.size = each.size;
    for (const [kind, leaves] of each.kinds) {
      each.cell.cells.push(cellOf(kind, leaves));
      await turn();
    }
  }
  const order = [...owners.values()].sort((a, b) => a.order - b.order || b.size - a.size);
  return { owners: order, kinds: [...kinds].sort((a, b) => b[1] - a[1]), total, removed };
}

function cellOf(kind: string, leaves: Leaves): Cell {
  const parts = [...leaves.parts].sort((a, b) => b[1] - a[1]);
  const inner: Cell[] = parts.slice(0, LEAVES).map(([name, size]) => ({ name, size, kind, cells: [] }));
  const rest = parts.slice(LEAVES).reduce((sum, [, size]) => sum + size, 0);
  if (rest) inner.push({ name: "the rest", size: rest, kind, cells: [] });
  return { name: kind, size: leaves.size, kind, cells: parts.length > 1 ? inner : [] };
}

const mib = (size: number) => (size >= 52429 ? (size / 1048576).toLocaleString("en-US", { minimumFractionDigits: 1, maximumFractionDigits: 1 }) : size ? "<0.1" : "");
const tint = (kind: string) => { const place = KINDS.indexOf(kind); return `m${place < 0 ? 8 : place}`; };

export function Ram({ id }: { id: string }) {
  const [use, set] = useState<Use | null>(null);
  const [free, show] = useState(false);
  useEffect(() => { if (tables.get("pages")?.rows) read().then(set); }, []);
  if (!tables.get("pages")?.rows) return <Grid name="pages" />;
  if (!use) return <p class="none">reading …</p>;
  const one = use.owners.find((each) => each.key === id);
  const unknown = use.kinds.find(([kind]) => kind === "not known")?.[1] ?? 0;
  return (
    <>
      <p class="lead-text">{mib(use.total)} MiB of RAM in the image, every page frame once, by whose it is and what it is used for. {unknown ? `No rule names the use of ${mib(unknown)} MiB.` : "Every frame's use is known."}
        {use.removed > 0 && ` ${mib(use.removed)} MiB are charged to cgroups that have been removed: of containers that have ended.`}</p>
      {id && !one && <p class="none">There is no owner of this name: <a href="#ram">all owners</a>.</p>}
      {one && <p><a href="#ram">All owners</a> › <b><Safe text={one.title} /></b> {mib(one.size)} MiB, {plural([...one.kinds.values()].reduce((sum, each) => sum + each.parts.size, 0), "part")}</p>}
      {!one && <p class="sub"><label><input type="checkbox" checked={free} onChange={() => show(!free)} /> with free memory</label>. Click a part for its owner alone.</p>}
      <Picture key={one?.key ?? String(free)} owners={one ? [one] : free ? use.owners : use.owners.filter((each) => each.key !== "free")} />
      <Legend kinds={use.kinds} />
      <Owners use={use} chosen={one?.key} />
      <h2>Every part</h2>
      <p class="sub">{tables.get("pages")!.head.doc}</p>
      <Grid name="pages" query={one?.filter ?? ""} key={one?.key} />
    </>
  );
}

function Picture({ owners }: { owners: Owner[] }) {
  const frame = useRef<HTMLDivElement>(null);
  const [wide, setWide] = useState(0);
  useEffect(() => {
    const element = frame.current!;
    const watch = new ResizeObserver(() => setTimeout(() => setWide(element.clientWidth))); // not in the frame's own task
    watch.observe(element);
    return () => watch.disconnect();
  }, []);
  const keys = useMemo(() => new Map(owners.map((each) => [each.title, each.key])), [owners]);
  const shown = useMemo(() => {
    if (wide < 50) return [];
    const all = owners.map((each) => each.cell);
    return owners.length === 1 ? placed(all[0].cells, { x: 0, y: 0, wide, high: HIGH }, [owners[0].title]) : placed(all, { x: 0, y: 0, wide, high: HIGH });
  }, [owners, wide]);
  const elements = useMemo(() => shown.map(({ cell, box, path, label }, index) => (
    <g key={index} data-owner={path[0]} class={path.length === 1 ? "owner" : tint(cell.kind)}>
      <title>{`${path.map(plain).join(" › ").slice(0, 600)}: ${mib(cell.size)} MiB`}</title>
      <rect x={box.x} y={box.y} width={box.wide} height={box.high} />
      {label && <text x={box.x + 4} y={box.y + 12.5}>{fitting(cell, box.wide - 8)}</text>}
    </g>
  )), [shown]);
  const drawn = useGrowing(elements.length, STEP);
  const open = (event: Event) => {
    const key = keys.get((event.target as Element).closest("g")?.getAttribute("data-owner") ?? "");
    if (key !== undefined) location.hash = owners.length === 1 ? "ram" : `ram=${encodeURIComponent(key)}`;
  };
  return (
    <div class="treemap" ref={frame}>
      {wide >= 50 && (
        <svg viewBox={`0 0 ${wide} ${HIGH}`} role="img" aria-label="RAM by owner and kind; the table below says the same" onClick={open}>
          {elements.slice(0, drawn)}
        </svg>
      )}
    </div>
  );
}

/** As much of a cell's name as its width takes, by the letters' usual width; of a path its last part. */
function fitting(cell: Cell, room: number): string {
  const letters = Math.floor(room / LETTER), whole = plain(cell.name.slice(-400)), base = whole.slice(whole.lastIndexOf("/") + 1);
  const name = whole.startsWith("/") && whole.length > letters && base ? base : whole, size = ` ${mib(cell.size)}`;
  if (name.length + size.length <= letters) return name + size;
  if (name.length <= letters) return name;
  return letters < 4 ? "" : `${name.slice(0, letters - 1)}…`;
}

function Legend({ kinds }: { kinds: [string, number][] }) {
  return <ul class="legend">{kinds.map(([kind, size]) => <li><span class={`swatch ${tint(kind)}`} /> <Safe text={kind} /> <small>{mib(size)} MiB</small></li>)}</ul>;
}

const COLUMN_KINDS = 7;
function Owners({ use, chosen }: { use: Use; chosen?: string }) {
  const shown = use.kinds.map(([kind]) => kind).filter((kind) => kind !== "free" && kind !== "not known").slice(0, COLUMN_KINDS);
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="RAM by owner">
      <table>
        <thead><tr><th>MiB of</th><th class="number">all</th>{shown.map((kind) => <th class="number"><Safe text={kind} /></th>)}<th class="number">others</th></tr></thead>
        <tbody>
          {use.owners.map((each) => {
            const named = shown.map((kind) => each.kinds.get(kind)?.size ?? 0), others = each.size - named.reduce((sum, size) => sum + size, 0);
            return (
              <tr class={each.key === chosen ? "chosen" : ""}>
                <td class="owner"><a href={`#ram=${encodeURIComponent(each.key)}`}><Safe text={each.title} /></a>{each.filter && <a class="lead" href={toTable("pages", each.filter)}>rows</a>}</td>
                <td class="number">{mib(each.size)}</td>
                {named.map((size) => <td class="number">{mib(size)}</td>)}
                <td class="number">{each.order >= 4 ? "" : mib(others)}</td>
              </tr>
            );
          })}
        </tbody>
        <tfoot><tr><th>{count(use.owners.length)} owners</th><td class="number">{mib(use.total)}</td>{shown.map((kind) => <td class="number">{mib(use.kinds.find(([name]) => name === kind)?.[1] ?? 0)}</td>)}<td /></tr></tfoot>
      </table>
    </div>
  );
}
