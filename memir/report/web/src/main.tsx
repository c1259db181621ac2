// SPDX-License-Identifier: Apache-2.0
// The page: views by the address, the keyboard, the search box.
import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Changes } from "./changes";
import { head, tables } from "./data";
import { Files } from "./files";
import { Findings } from "./findings";
import { Hits } from "./hits";
import { Map_ } from "./map";
import { Network } from "./network";
import { NotesLink } from "./notes";
import { Panel } from "./panel";
import { Print } from "./print";
import { Ram } from "./ram";
import { toTable, useRoute } from "./route";
import { Search } from "./search";
import { Custody, KernelView, Limits, Logs, Methods, Secrets, Tables, TableView } from "./simple";
import { Story } from "./story";
import { count, Safe } from "./text";
import { Timeline } from "./timeline";

interface View { id: string; title: string; key: string; number?: number }
const rows = (name: string) => tables.get(name)?.rows;
const VIEWS: View[] = [
  { id: "story", title: "Story", key: "1" },
  { id: "findings", title: "Findings", key: "2", number: head.findings.length },
  { id: "map", title: "Pods", key: "3", number: rows("pods") },
  { id: "timeline", title: "Timeline", key: "4", number: rows("timeline") },
  { id: "network", title: "Network", key: "5", number: rows("sockets") },
  { id: "files", title: "Files", key: "6", number: rows("inodes") },
  { id: "ram", title: "RAM", key: "r", number: rows("pages") },
  { id: "kernel", title: "Kernel", key: "7", number: rows("modules") },
  { id: "logs", title: "Logs", key: "8", number: rows("log") },
  { id: "secrets", title: "Secrets", key: "9", number: rows("secrets") },
  { id: "hits", title: "YARA hits", key: "0", number: rows("hits") },
  { id: "diff", title: "Differences", key: "d", number: rows("differences") },
  { id: "limits", title: "Gaps and limits", key: "g", number: head.gaps.length },
  { id: "custody", title: "Custody", key: "c" },
  { id: "methods", title: "Methods", key: "m" },
  { id: "tables", title: "All tables", key: "t", number: head.tables.length },
  { id: "print", title: "To print", key: "p" },
];
const TITLES: Record<string, string> = { finding: "Findings", table: "Table", search: "Search" };

function App() {
  const route = useRoute();
  const [help, showHelp] = useState(false);
  const search = useRef<HTMLInputElement>(null), main = useRef<HTMLElement>(null);
  const title = VIEWS.find((each) => each.id === route.view)?.title ?? TITLES[route.view] ?? "Not here";
  useEffect(() => { document.title = `${title} · memir report`; }, [title]);
  useEffect(() => { main.current?.scrollTo(0, 0); }, [route.view]);
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || (event.target as HTMLElement).matches("input:not([type=checkbox]), textarea, canvas")) {
        if (event.key === "Escape") (event.target as HTMLElement).blur();
        return;
      }
      const view = VIEWS.find((each) => each.key === event.key);
      if (event.key === "/") { event.preventDefault(); search.current?.focus(); search.current?.select(); }
      else if (event.key === "?") showHelp((old) => !old);
      else if (event.key === "Escape") { showHelp(false); if (route.row !== null) location.hash = toTable(route.id, route.q); }
      else if (view) { location.hash = view.id; main.current?.focus(); }
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [route]);
  const current = route.view === "finding" ? "findings" : route.view === "table" ? "tables" : route.view;
  return (
    <>
      <header class="top">
        <a class="skip" href={`#${current}`} onClick={(event) => { event.preventDefault(); main.current?.focus(); }}>To the content</a>
        <p class="brand"><b>memir</b> <span><Safe text={head.node ?? "node not known"} /></span> <small>{head.clock}{head.redacted && " · redacted"}</small></p>
        <form role="search" onSubmit={(event) => { event.preventDefault(); const text = search.current!.value.trim(); location.hash = `search=${encodeURIComponent(text)}`; search.current!.blur(); }}>
          <input ref={search} type="search" placeholder="Search everything ( / )" aria-label="Search every table" defaultValue={route.view === "search" ? route.id : ""} />
        </form>
        <NotesLink />
        <button onClick={() => showHelp(!help)} aria-expanded={help} aria-label="Keyboard help">?</button>
      </header>
      <nav aria-label="Views">
        <ul>{VIEWS.map((view) => (
          <li><a href={`#${view.id}`} aria-current={current === view.id ? "page" : undefined} title={`key ${view.key}`}>{view.title}{view.number !== undefined && <span class="number">{count(view.number)}</span>}</a></li>
        ))}</ul>
      </nav>
      <main ref={main} tabIndex={0} class={route.row !== null ? "with-panel" : ""}>
        <div class="content">
          {!head.whole && current !== "limits" && <p class="warning"><a href="#limits">A part of the node's RAM is not in the image</a>: <Safe text={head.coverage} /></p>}
          {!head.custody.holds && current !== "custody" && <p class="warning"><a href="#custody">The case is not as it was sealed</a></p>}
          {!["story", "finding", "findings"].includes(route.view) && <h1 class={route.view === "print" ? "no-print" : ""}>{title}</h1>}
          {route.view === "story" && <h1 class="unseen">Story</h1>}
          {["finding", "findings"].includes(route.view) && <h1 class="unseen">Findings</h1>}
          <Content view={route.view} id={route.id} row={route.row} q={route.q} />
        </div>
        {route.view === "table" && route.row !== null && <Panel key={`${route.id}${route.row}`} name={route.id} row={route.row} close={toTable(route.id, route.q)} />}
      </main>
      {help && <Help close={() => showHelp(false)} />}
    </>
  );
}

function Content({ view, id, row, q }: { view: string; id: string; row: number | null; q: string }) {
  switch (view) {
    case "story": return <Story />;
    case "findings": case "finding": return <Findings id={id} />;
    case "map": return <Map_ />;
    case "timeline": return <Timeline />;
    case "network": return <Network />;
    case "files": return <Files />;
    case "ram": return <Ram id={id} />;
    case "diff": return <Changes />;
    case "print": return <Print />;
    case "kernel": return <KernelView />;
    case "logs": return <Logs />;
    case "secrets": return <Secrets />;
    case "hits": return <Hits />;
    case "limits": return <Limits />;
    case "custody": return <Custody />;
    case "methods": return <Methods />;
    case "tables": return <Tables />;
    case "table": return <TableView name={id} query={q} row={row} />;
    case "search": return <Search query={id} />;
    default: return <p class="none">There is no view of this name: <a href="#story">to the story</a>.</p>;
  }
}

function Help({ close }: { close: () => void }) {
  const keys: [string, string][] = [["/", "search every table"], ...VIEWS.map((view) => [view.key, view.title] as [string, string]),
    ["j k ↑ ↓", "next and previous finding or row"], ["Enter", "open the row"], ["Esc", "close"], ["+ − ← → 0", "zoom and move the timeline"], ["?", "this list"]];
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), []);
  return (
    <div class="help" role="dialog" aria-label="Keys" tabIndex={-1} ref={box}>
      <h2>Keys <button onClick={close} aria-label="Close">×</button></h2>
      <dl>{keys.map(([key, what]) => <><dt><kbd>{key}</kbd></dt><dd>{what}</dd></>)}</dl>
    </div>
  );
}

const app = document.getElementById("app")!;
app.textContent = "";
render(<App />, app);
