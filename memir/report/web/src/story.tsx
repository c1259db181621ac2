// SPDX-License-Identifier: Apache-2.0
// The incident in plain words: each sentence leads to what says so.
import { head } from "./data";
import { Parts, SeverityMark } from "./marks";
import { Safe } from "./text";

export function Story() {
  return (
    <article class="story">
      {head.story.map((chapter) => (
        <section>
          <h2><Safe text={chapter.title} /> {chapter.severity && <SeverityMark severity={chapter.severity} />}</h2>
          {chapter.sentences.map((parts) => <p><Parts parts={parts} /></p>)}
        </section>
      ))}
    </article>
  );
}
