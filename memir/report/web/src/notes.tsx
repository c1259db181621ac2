// SPDX-License-Identifier: Apache-2.0
// Notes and the mark "seen, benign": kept in the page, downloaded as a file, read back by `memir report --notes FILE`.
// They are outside the case and its seal. Nothing is stored by the browser: the page may be open on any machine.
import { useEffect, useState } from "preact/hooks";
import { head, type Note } from "./data";
import { download } from "./text";

const notes = new Map<string, Note>(head.notes.map((note) => [note.target, note]));
const heard = new Set<() => void>();
let unsaved = 0;

function change(target: string, part: Partial<Note>): void {
  const note = { target, text: "", benign: false, ...notes.get(target), ...part, when: new Date().toISOString() };
  if (note.text || note.benign) notes.set(target, note); else notes.delete(target);
  unsaved++;
  for (const each of heard) each();
}

export function useNotes() {
  const [, again] = useState(0);
  useEffect(() => {
    const hear = () => again((number) => number + 1);
    heard.add(hear);
    return () => { heard.delete(hear); };
  }, []);
  return notes;
}

export function NoteBox({ target }: { target: string }) {
  const note = useNotes().get(target);
  const id = `note-${target}`;
  return (
    <div class="note">
      <label><input type="checkbox" checked={note?.benign ?? false} onChange={(event) => change(target, { benign: event.currentTarget.checked })} /> seen, benign</label>
      <label for={id}>Note</label>
      <textarea id={id} rows={2} value={note?.text ?? ""} onInput={(event) => change(target, { text: event.currentTarget.value })} />
    </div>
  );
}

/** Download of all notes: what `memir report CASE --notes FILE` reads. */
export function NotesLink() {
  const all = useNotes();
  const save = () => {
    const document = { schema: 1, case: head.custody.head, node: head.node, notes: [...all.values()] };
    download("memir-notes.json", `${JSON.stringify(document, null, 1)}\n`, "application/json");
    unsaved = 0;
  };
  if (!all.size) return null;
  return <button onClick={save} title="Outside the case and its seal; memir report CASE --notes FILE reads it back">Save notes ({all.size})</button>;
}

addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
