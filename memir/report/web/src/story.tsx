// SPDX-License-Identifier: Apache-2.0
// The incident in plain words: each sentence leads to what says so.
import { head } from "./data";
import { Parts, SeverityMark } from "./marks";
import { Safe } from "./text";
import { useGrowing } from "./use";

/** whole: at once, as who prints the page needs it; else a chapter a task, the first with the page itself. */
export function Story({ whole = false }: { whole?: boolean }) {
  const shown = useGrowing(head.story.length, whole ? head.story.length : 1);
  return (
    <article class="story">
      {head.story.slice(0, shown).map((chapter) => (
        <section>
          <h2><Safe text={chapter.title} /> {chapter.severity && <SeverityMark severity={chapter.severity} />}</h2>
          {chapter.sentences.map((parts) => <p><Parts parts={parts} /></p>)}
        </section>
      ))}
    </article>
  );
}
