// SPDX-License-Identifier: Apache-2.0
// The case as it lies in the page: the head as JSON, tables as Parquet in base64 that are decoded column by column, a
// row group at a time, so that no task is long. No workers: the page's policy forbids them.
import { decompress } from "fzstd";
import { parquetMetadata, parquetRead, type FileMetaData } from "hyparquet";

export type Part = string | [string, string];
export type Severity = "critical" | "high" | "medium" | "low" | "info";
export interface Chapter { title: string; severity: Severity | null; sentences: Part[][] }
export interface Proof { table: string; key: string; rows: number[] | null; more: number }
export interface Finding {
  id: string; kind: string; severity: Severity; reason: string; title: string; pid: number | null;
  start_time: string | null; path: string | null; technique: string; technique_name: string; tactics: string[];
  attack_version: string; technique_v19: string; evidence: Proof[]; first_seen: string | null; why: string;
  check_next: string[]; benign: string[]; missed: string[]; also_known: string[];
  container_id: string | null; container_name: string | null; pod_uid: string | null; pod_name: string | null;
  namespace: string | null;
}
export interface ColumnHead { name: string; type: string; doc: string | null }
export interface TableHead { name: string; rows: number; doc: string | null; columns: ColumnHead[]; empty: string[] }
export interface Gap { kind: string; where: string; why: string; count: number }
export interface Note { target: string; text: string; benign: boolean; when: string }
// deno-lint-ignore no-explicit-any
export type Json = any;
export interface Diff {
  other: string; facts: Record<string, { old: Json; new: Json }>; compared: string[]; lacking: Record<string, string>;
}
export interface Head {
  memir: string; made: string; node: string | null; clock: string; coverage: string; whole: boolean;
  kernel: string | null; clean: { kind: string; title: string; how: string }[];
  unable: { kind: string; tables: string[] }[]; gaps: Gap[]; record: Json; custody: Json; methods: Json;
  notes: Note[]; diff: Diff | null; redacted: boolean; story: Chapter[]; findings: Finding[]; tables: TableHead[];
  licenses: { name: string; version: string; license: string; text: string }[];
}
export type Value = string | number | bigint | boolean | null | undefined | Value[] | { [name: string]: Value };

export const head: Head = JSON.parse(document.getElementById("head")!.textContent!);

const channel = new MessageChannel();
const waiting: (() => void)[] = [];
channel.port1.onmessage = () => waiting.shift()?.();
let began = 0;
const SLICE = 6; // milliseconds of work between two turns
/** Give the page a turn if this task has run for some milliseconds. Cheap to call often. */
export function turn(): Promise<void> | undefined {
  if (performance.now() - began < SLICE) return undefined;
  return new Promise((done) => {
    waiting.push(() => { began = performance.now(); done(); });
    channel.port2.postMessage(0);
  });
}

const parsers = {
  timestampFromMicroseconds: (micros: bigint) => Number(micros), // exact until the year 2255
};
const compressors = { ZSTD: (bytes: Uint8Array) => decompress(bytes) };
/** Decoding goes on one piece at a time, whoever asks: many columns at once would be one long task. */
let queue: Promise<unknown> = Promise.resolve();
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const done = queue.then(work);
  queue = done.catch(() => undefined);
  return done;
}
const PIECE = 1 << 18; // characters of base64 that are decoded at once; a multiple of 4

export class Table {
  private bytes?: Promise<ArrayBuffer>;
  private metadata?: FileMetaData;
  private columns = new Map<string, Promise<Value[]>>();
  /** Columns that are decoded. */
  readonly ready = new Map<string, Value[]>();

  constructor(readonly head: TableHead) {}

  get rows(): number { return this.head.rows; }

  column(name: string): Promise<Value[]> {
    let column = this.columns.get(name);
    if (column === undefined) {
      column = inTurn(() => this.decode(name));
      this.columns.set(name, column);
    }
    return column;
  }

  /** The values of many columns, those that the table lacks as nulls. */
  load(names: string[]): Promise<Value[][]> { return Promise.all(names.map((name) => this.column(name))); }

  value(name: string, row: number): Value { return this.ready.get(name)?.[row]; }

  private async decode(name: string): Promise<Value[]> {
    const values: Value[] = new Array(this.rows).fill(null);
    if (this.rows && this.head.columns.some((column) => column.name === name)) {
      this.bytes ??= decoded(`table-${this.head.name}`);
      const bytes = await this.bytes;
      this.metadata ??= parquetMetadata(bytes);
      const file = { byteLength: bytes.byteLength, slice: (start: number, end?: number) => bytes.slice(start, end) };
      let first = 0;
      for (const group of this.metadata.row_groups) {
        const last = first + Number(group.num_rows);
        await parquetRead({
          file, metadata: this.metadata, columns: [name], rowStart: first, rowEnd: last, compressors, parsers,
          onChunk: ({ columnData, rowStart }) => {
            for (let index = 0; index < columnData.length; index++) values[rowStart + index] = columnData[index];
          },
        });
        first = last;
        await turn();
      }
    }
    this.ready.set(name, values);
    return values;
  }
}

async function decoded(id: string): Promise<ArrayBuffer> {
  const text = document.getElementById(id)!.textContent!;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let from = 0, to = 0; from < text.length; from += PIECE) {
    const piece = atob(text.slice(from, from + PIECE));
    for (let index = 0; index < piece.length; index++) bytes[to++] = piece.charCodeAt(index);
    await turn();
  }
  return bytes.buffer;
}

export const tables = new Map(head.tables.map((each) => [each.name, new Table(each)]));
export const findings = new Map(head.findings.map((each) => [each.id, each]));

/** Findings that a row proves, by `table:row`. */
export const provedBy = new Map<string, Finding[]>();
for (const finding of head.findings) {
  for (const proof of finding.evidence) {
    for (const row of proof.rows ?? []) {
      const key = `${proof.table}:${row}`;
      provedBy.set(key, [...(provedBy.get(key) ?? []), finding]);
    }
  }
}
export const SEVERITIES: Severity[] = ["critical", "high", "medium", "low", "info"];
