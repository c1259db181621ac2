// SPDX-License-Identifier: Apache-2.0
// The first page in RAM of a file, as text or hex, as it was read when the report was made.
import { useEffect, useState } from "preact/hooks";
import { head, tables } from "./data";
import { toRow } from "./route";
import { count, Safe } from "./text";
import { text } from "./use";

const COLUMNS = ["row", "size", "offset", "length", "text", "hex", "holes", "why"];
const LINE = 16;
let places: Promise<Map<number, number>> | undefined;

/** Which row of the table previews is a file's, by the file's row. */
function find(): Promise<Map<number, number>> {
  places ??= (async () => {
    const table = tables.get("previews")!, [rows] = await table.load(COLUMNS);
    return new Map(rows.map((row, place) => [Number(row), place]));
  })();
  return places;
}

export function Preview({ row }: { row: number }) {
  const [at, set] = useState<number | null | undefined>(undefined);
  const table = tables.get("previews");
  useEffect(() => { if (table) find().then((all) => set(all.get(row) ?? null)); }, [row]);
  const link = <p class="sub"><a href={toRow("inodes", row)}>all that is known of the file</a></p>;
  if (!table) return <>{link}</>;
  if (at === undefined) return <p class="none">reading …</p>;
  if (at === null) return <><p class="none">No preview of it was taken: <code>memir extract files</code> has its content.</p>{link}</>;
  const value = (name: string) => table.value(name, at);
  const shown = text(value("text")), hex = text(value("hex")), offset = Number(value("offset") ?? 0), length = Number(value("length") ?? 0), size = Number(value("size") ?? 0);
  const cut = head.redacted ? "Its content is left out of a redacted report." : "";
  return (
    <div class="preview">
      {length > 0 && !cut && <p class="sub">{offset === 0 && length === size ? `All ${count(size)} bytes.` : `Bytes ${count(offset)} to ${count(offset + length - 1)} of ${count(size)}.`}</p>}
      {value("holes") ? <p class="bad"><Safe text={text(value("holes"))} /></p> : size > 0 && <p class="sub">Every byte of it is in RAM.</p>}
      {cut ? <p class="none">{cut}</p> : value("why") ? <p class="none"><Safe text={text(value("why"))} />.</p>
        : hex ? <pre class="hex" tabIndex={0} aria-label="Content in hex">{dump(hex, offset)}</pre>
        : <pre class="data" tabIndex={0} aria-label="Content"><Safe text={shown} lines /></pre>}
      {link}
    </div>
  );
}

/** Lines of 16 bytes: where, in hex, as ASCII; `xx` where a secret is. */
export function dump(hex: string, offset: number): string {
  const lines: string[] = [];
  for (let from = 0; from < hex.length; from += 2 * LINE) {
    const pairs = hex.slice(from, from + 2 * LINE).match(/../g) ?? [];
    const ascii = pairs.map((pair) => { const byte = parseInt(pair, 16); return pair === "xx" ? "*" : byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "."; }).join("");
    lines.push(`${(offset + from / 2).toString(16).padStart(8, "0")}  ${pairs.join(" ").padEnd(3 * LINE - 1)}  ${ascii}`);
  }
  return lines.join("\n");
}
