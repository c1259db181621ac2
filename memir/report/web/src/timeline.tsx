// SPDX-License-Identifier: Apache-2.0
// What happened when: a track a pod, drawn on a canvas (one mark a pixel and kind, whatever the number of events).
// Drag to choose a time, wheel with Ctrl or + and - to zoom, arrows to move, 0 for all. The table below has the events.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { tables, turn } from "./data";
import { Grid } from "./grid";
import { count, Safe, time } from "./text";
import { text } from "./use";

const COLUMNS = ["time", "kind", "namespace", "pod_name"];
const TRACK = 24, LEFT = 230, HEAD = 22, NODE = "the node";
/** Kinds in the order in which they are drawn below each other, each with its colour. */
const KINDS = ["finding", "process-start", "container-start", "container-end", "file-created", "file-modified", "file-changed", "bpf-load", "log", "pod-deletion",
  "session", "session-end", "audit", "iam-login", "cloudtrail", "guardduty", "flow", "container-log", "connection", "login"];
/** Those that the logs of the cluster and the account tell, not memory. */
const OF_LOGS = new Set(["session", "session-end", "audit", "iam-login", "cloudtrail", "guardduty", "flow", "container-log"]);
const MOST = 60; // tracks that are drawn; the table has all

interface Events { times: Float64Array; kinds: Uint8Array; tracks: Uint16Array; kindNames: string[]; trackNames: string[]; first: number; last: number }

async function read(): Promise<Events | null> {
  const table = tables.get("timeline");
  if (!table?.rows) return null;
  const [time, kind, namespace, pod] = await table.load(COLUMNS);
  const events: Events = { times: new Float64Array(table.rows), kinds: new Uint8Array(table.rows), tracks: new Uint16Array(table.rows), kindNames: [], trackNames: [], first: 0, last: 1 };
  const kinds = new Map<string, number>(), tracks = new Map<string, number>();
  const numbers: number[] = [];
  for (let row = 0; row < table.rows; row++) {
    const track = pod[row] ? `${text(namespace[row])}/${text(pod[row])}` : NODE, name = text(kind[row]);
    if (!kinds.has(name)) { kinds.set(name, kinds.size); }
    if (!tracks.has(track)) { tracks.set(track, tracks.size); numbers.push(0); }
    events.times[row] = Number(time[row]);
    events.kinds[row] = kinds.get(name)!;
    events.tracks[row] = tracks.get(track)!;
    numbers[events.tracks[row]]++;
    if ((row & 1023) === 0) await turn();
  }
  const known = (name: string) => (KINDS.indexOf(name) + KINDS.length + 1) % (KINDS.length + 1);
  const places = [...kinds.keys()].map((_, index) => index).sort((a, b) => known([...kinds.keys()][a]) - known([...kinds.keys()][b]));
  const kindTo = new Uint8Array(places.length);
  places.forEach((old, index) => { kindTo[old] = index; });
  for (let row = 0; row < table.rows; row++) events.kinds[row] = kindTo[events.kinds[row]];
  events.kindNames = places.map((old) => [...kinds.keys()][old]);
  events.trackNames = [...tracks.keys()];
  // the node last, the other tracks by name
  const order = events.trackNames.map((_, index) => index).sort((a, b) => (events.trackNames[a] === NODE ? 1 : events.trackNames[b] === NODE ? -1 : events.trackNames[a] < events.trackNames[b] ? -1 : 1));
  const to = new Uint16Array(order.length);
  order.forEach((old, index) => { to[old] = index; });
  for (let row = 0; row < table.rows; row++) events.tracks[row] = to[events.tracks[row]];
  events.trackNames = order.map((old) => events.trackNames[old]);
  events.first = events.times[0];
  events.last = Math.max(events.times[table.rows - 1], events.first + 1000);
  return events;
}

const swatch = (name: string) => { const index = KINDS.indexOf(name); return `k${index < 0 ? 10 : index + 1}`; };

/** The first index whose time is not below. */
function lower(times: Float64Array, value: number): number {
  let from = 0, to = times.length;
  while (from < to) { const middle = (from + to) >> 1; if (times[middle] < value) from = middle + 1; else to = middle; }
  return from;
}

export function Timeline() {
  const [events, set] = useState<Events | null | undefined>(undefined);
  useEffect(() => { read().then(set); }, []);
  if (events === undefined) return <p class="none">reading …</p>;
  if (events === null) return <p class="none">The case has no event with a time.</p>;
  return <Tracks events={events} />;
}

function Tracks({ events }: { events: Events }) {
  const busy = useMemo(() => { // the middle 98 % of events: old files and boot messages stretch the whole
    const at = (part: number) => events.times[Math.floor((events.times.length - 1) * part)];
    const margin = Math.max(2e6, (at(0.99) - at(0.01)) * 0.05);
    return [Math.max(events.first, at(0.01) - margin), Math.min(events.last, at(1) + margin)] as [number, number];
  }, [events]);
  const [span, zoom] = useState<[number, number]>(busy[1] - busy[0] < (events.last - events.first) * 0.5 ? busy : [events.first, events.last]);
  const [off, setOff] = useState<string[]>([]);
  const [brush, setBrush] = useState<[number, number] | null>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [wide, setWide] = useState(900);
  const tracks = events.trackNames.slice(0, MOST);
  const height = HEAD + tracks.length * TRACK + 4;
  const on = events.kindNames.map((name) => !off.includes(name));

  useEffect(() => {
    const element = canvas.current!;
    const frame = element.parentElement!;
    const watch = new ResizeObserver(() => setWide(frame.clientWidth));
    watch.observe(frame);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const again = () => zoom((old) => [...old]);
    scheme.addEventListener("change", again);
    return () => { watch.disconnect(); scheme.removeEventListener("change", again); };
  }, []);
  useEffect(() => draw(canvas.current!, events, tracks, span, on, brush, wide, height), [events, span, off, brush, wide]);

  const rows = useMemo(() => {
    const first = lower(events.times, span[0]), end = lower(events.times, span[1] + 1);
    const made = new Int32Array(end - first);
    let number = 0;
    for (let row = first; row < end; row++) if (on[events.kinds[row]]) made[number++] = row;
    return made.subarray(0, number);
  }, [events, span, off]);

  const at = (x: number) => span[0] + ((x - LEFT) / Math.max(1, wide - LEFT)) * (span[1] - span[0]);
  const around = (factor: number, middle = (span[0] + span[1]) / 2) => {
    const next: [number, number] = [middle - (middle - span[0]) * factor, middle + (span[1] - middle) * factor];
    if (next[1] - next[0] < 1000) return;
    zoom([Math.max(events.first, next[0]), Math.min(events.last, next[1])]);
  };
  const move = (part: number) => {
    const by = Math.max(events.first - span[0], Math.min(events.last - span[1], (span[1] - span[0]) * part));
    zoom([span[0] + by, span[1] + by]);
  };
  const key = (event: KeyboardEvent) => {
    const acts: Record<string, () => void> = { "+": () => around(0.5), "=": () => around(0.5), "-": () => around(2), ArrowLeft: () => move(-0.2), ArrowRight: () => move(0.2), "0": () => zoom([events.first, events.last]) };
    if (acts[event.key]) { event.preventDefault(); acts[event.key](); }
  };
  return (
    <>
      <div class="tools">
        {events.kindNames.map((name, index) => (
          <label><input type="checkbox" checked={on[index]} onChange={() => setOff(on[index] ? [...off, name] : off.filter((each) => each !== name))} />
            <span class={`swatch ${swatch(name)}`} /> {name}</label>
        ))}
        <button onClick={() => around(0.5)} aria-label="Zoom in">+</button><button onClick={() => around(2)} aria-label="Zoom out">−</button>
        <button onClick={() => move(-0.5)} aria-label="Earlier">←</button><button onClick={() => move(0.5)} aria-label="Later">→</button>
        <button onClick={() => zoom([events.first, events.last])}>all</button><button onClick={() => zoom(busy)}>where most is</button>
        {events.kindNames.includes("process-start") && <span class="count">process-start: when it was forked; its program may be newer</span>}
        <span class="count">{time(span[0]).slice(0, 19)} to {time(span[1]).slice(0, 19)} UTC</span>
      </div>
      <div class="tracks">
        <canvas ref={canvas} tabIndex={0} role="img" aria-label={`Timeline of ${count(events.times.length)} events in ${tracks.length} tracks; the table below lists them`}
          onKeyDown={key}
          onWheel={(event) => { if (event.ctrlKey || event.metaKey) { event.preventDefault(); around(event.deltaY > 0 ? 1.25 : 0.8, at(event.offsetX)); } }}
          onPointerDown={(event) => { if (event.offsetX > LEFT) { event.currentTarget.setPointerCapture(event.pointerId); setBrush([event.offsetX, event.offsetX]); } }}
          onPointerMove={(event) => { if (brush) setBrush([brush[0], Math.max(LEFT, Math.min(wide, event.offsetX))]); }}
          onPointerUp={() => {
            if (brush && Math.abs(brush[1] - brush[0]) > 4) zoom([at(Math.min(...brush)), at(Math.max(...brush))]);
            setBrush(null);
          }}
          onDblClick={() => zoom([events.first, events.last])} />
      </div>
      {events.trackNames.length > MOST && <p class="sub">{count(events.trackNames.length - MOST)} more pods are in the table only.</p>}
      {events.kindNames.some((name) => OF_LOGS.has(name)) && <p class="sub">Of logs from outside of memory: {events.kindNames.filter((name) => OF_LOGS.has(name)).join(", ")}. Requests that only read are in the table audit.</p>}
      <p class="sub">Drag over the tracks to choose a time; + − ← → 0 when they have the focus.</p>
      <Grid name="timeline" within={rows} />
      <p class="sub print-only"><Safe text={`${rows.length} events`} /></p>
    </>
  );
}

function draw(element: HTMLCanvasElement, events: Events, tracks: string[], span: [number, number], on: boolean[], brush: [number, number] | null, wide: number, height: number) {
  const ratio = devicePixelRatio || 1, style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  element.width = wide * ratio;
  element.height = height * ratio;
  element.style.width = `${wide}px`;
  element.style.height = `${height}px`;
  const pen = element.getContext("2d")!;
  pen.scale(ratio, ratio);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const room = Math.max(1, wide - LEFT), scale = room / (span[1] - span[0]);
  ticks(span, room).forEach(([micros, label]) => {
    const x = LEFT + (micros - span[0]) * scale;
    pen.fillStyle = colour("--line");
    pen.fillRect(x, HEAD, 1, height - HEAD);
    pen.fillStyle = colour("--dim");
    pen.fillText(label, x + 3, HEAD / 2);
  });
  tracks.forEach((name, index) => {
    const y = HEAD + index * TRACK;
    pen.fillStyle = colour("--line");
    pen.fillRect(0, y + TRACK - 1, wide, 1);
    pen.fillStyle = colour("--ink");
    pen.fillText(fitting(pen, name, LEFT - 12), 4, y + TRACK / 2);
  });
  const pixels = Math.ceil(room) + 1, marks = new Uint32Array(tracks.length * pixels); // by track and pixel: bits of kinds
  const { times, kinds, tracks: places } = events, end = lower(times, span[1] + 1);
  for (let row = lower(times, span[0]); row < end; row++) {
    if (on[kinds[row]] && places[row] < tracks.length) marks[places[row] * pixels + Math.floor((times[row] - span[0]) * scale)] |= 1 << kinds[row];
  }
  const colours = events.kindNames.map((name) => colour(`--${swatch(name)}`));
  const slot = (TRACK - 6) / Math.max(1, events.kindNames.length);
  for (let kind = 0; kind < colours.length; kind++) { // a colour after the other: to change it is what costs
    pen.fillStyle = colours[kind];
    const bit = 1 << kind, high = Math.max(3, slot + 2);
    for (let track = 0; track < tracks.length; track++) {
      const y = HEAD + track * TRACK + 2 + kind * slot, row = track * pixels;
      for (let x = 0; x < pixels; x++) { // marks that touch are one rectangle: a dense track has thousands
        if (!(marks[row + x] & bit)) continue;
        const first = x;
        while (x + 1 < pixels && (marks[row + x + 1] & bit)) x++;
        pen.fillRect(LEFT + first, y, x - first + 3, high);
      }
    }
  }
  if (brush) {
    pen.fillStyle = colour("--brush");
    pen.fillRect(Math.min(...brush), HEAD, Math.abs(brush[1] - brush[0]), height);
  }
}

function fitting(pen: CanvasRenderingContext2D, name: string, room: number): string {
  const clean = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "�").slice(0, 120);
  if (pen.measureText(clean).width <= room) return clean;
  let end = clean.length;
  while (end > 1 && pen.measureText(`${clean.slice(0, end)}…`).width > room) end -= 1;
  return `${clean.slice(0, end)}…`;
}

const STEPS = [1e3, 1e4, 1e5, 1e6, 5e6, 15e6, 30e6, 60e6, 300e6, 900e6, 3600e6, 6 * 3600e6, 86400e6, 7 * 86400e6, 30 * 86400e6, 365 * 86400e6, 3650 * 86400e6];
function ticks(span: [number, number], room: number): [number, string][] {
  const step = STEPS.find((each) => (span[1] - span[0]) / each < room / 110) ?? STEPS[STEPS.length - 1];
  const made: [number, string][] = [];
  for (let micros = Math.ceil(span[0] / step) * step; micros <= span[1] && made.length < 50; micros += step) {
    const text = time(micros);
    made.push([micros, step >= 86400e6 ? text.slice(0, 10) : step >= 60e6 ? text.slice(5, 16) : step >= 1e6 ? text.slice(11, 19) : text.slice(11, 23)]);
  }
  return made;
}
