// SPDX-License-Identifier: Apache-2.0
// Text of an image, a log or a node, shown as what it is: controls, marks that turn the direction of text, characters
// without width and the like as visible escapes; numbers, times and addresses as people read them.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Value } from "./data";

// Other (control, format, surrogate, private, unassigned), line and paragraph separators, and what looks like nothing
const HIDDEN = /[\p{C}\p{Zl}\p{Zp}\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\u{e0100}-\u{e01ef}]/u;
const HIDDEN_ALL = new RegExp(HIDDEN.source, "gu");
const LONG = 2000;

export function escaped(char: string): string {
  const code = char.codePointAt(0)!;
  const short: Record<number, string> = { 9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e" };
  const hex = code.toString(16);
  return short[code] ?? (code < 256 ? `\\x${hex.padStart(2, "0")}` : code < 65536 ? `\\u${hex.padStart(4, "0")}` : `\\U${hex.padStart(8, "0")}`);
}

/** The same, as a string: for titles, CSV and what is copied. */
export function plain(text: string): string { return HIDDEN.test(text) ? text.replace(HIDDEN_ALL, escaped) : text; }

/** A text with its hidden characters marked. lines: line breaks and tabs are kept as such. */
export function marked(text: string, lines = false): ComponentChildren {
  if (!HIDDEN.test(text)) return text;
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN_ALL)) {
    if (lines && (match[0] === "\n" || match[0] === "\t")) continue;
    parts.push(text.slice(from, match.index), <span class="escape">{escaped(match[0])}</span>);
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** A text of the image, whatever its length: the first part, and the rest when it is asked for. */
export function Safe({ text, lines }: { text: string; lines?: boolean }) {
  const [shown, more] = useState(LONG);
  const rest = text.length - shown;
  return (
    <span class="raw">
      {marked(rest > 0 ? text.slice(0, shown) : text, lines)}
      {rest > 0 && (
        <button class="more" onClick={() => more(shown + 20 * LONG)}>… {count(rest)} more characters: show</button>
      )}
    </span>
  );
}

export const count = (number: number) => number.toLocaleString("en-US");
export const plural = (number: number, noun: string) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

/** Microseconds since 1970 as `2026-11-23 22:27:43.242224`. */
export function time(micros: number): string {
  const date = new Date(Math.floor(micros / 1000));
  if (Number.isNaN(date.getTime())) return `${micros} µs`;
  const fraction = String(((micros % 1e6) + 1e6) % 1e6).padStart(6, "0");
  return `${date.toISOString().slice(0, 19).replace("T", " ")}.${fraction}`;
}

/** An ISO time of the head, to seconds. */
export const iso = (text: string | null) => (text ? text.slice(0, 19).replace("T", " ") : "time not known");

const NUMBERS = /^(inode|cgroup_id|inum|.*_ns|offset)$/; // uint64 that people know as decimal
/** A value as text, without marks: what is searched, sorted by people's eyes, and copied. */
export function cell(value: Value, type: string, name: string): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map((each) => cell(each, type.replace(/^list<element: (.*)>$/, "$1"), name)).join(name === "args" || name === "command" ? " " : ", ");
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (type.startsWith("timestamp") && typeof value === "number") return time(value);
  if (type === "uint64" && !NUMBERS.test(name)) return `0x${BigInt(value as bigint).toString(16)}`;
  if (typeof value === "object") return Object.values(value).map((each) => cell(each, "", "")).join(": ");
  return String(value);
}

export const isNumber = (type: string) => /^u?int|^double|^float/.test(type);

const FORMULA = /^[=+\-@\t\r]/;
function csvCell(value: Value, type: string, name: string): string {
  if (value === null || value === undefined) return "";
  let text = plain(cell(value, type, name));
  if (typeof value !== "number" && typeof value !== "bigint" && FORMULA.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
}

/** RFC 4180; text that a spreadsheet would run gets a ' in front, hidden characters are escaped. */
export function csv(columns: { name: string; type: string; values: Value[] }[], rows: ArrayLike<number>): string {
  const lines = [columns.map((column) => csvCell(column.name, "string", "")).join(",")];
  for (let index = 0; index < rows.length; index++) {
    lines.push(columns.map((column) => csvCell(column.values[rows[index]], column.type, column.name)).join(","));
  }
  return `${lines.join("\r\n")}\r\n`;
}

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea"); // where the clipboard is not given to files
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

export function download(name: string, text: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
