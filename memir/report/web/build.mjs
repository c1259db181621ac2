// SPDX-License-Identifier: Apache-2.0
// Bundle src/ into bundle/: `npm ci && npm run build`. The same sources and package-lock.json give the same bytes.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const shared = { bundle: true, minify: true, legalComments: "none", charset: "ascii", target: "es2022", logLevel: "warning" };
await build({ ...shared, entryPoints: ["src/main.tsx"], outfile: "bundle/report.js", format: "iife", jsx: "automatic",
  jsxImportSource: "preact" });
await build({ ...shared, entryPoints: ["src/report.css"], outfile: "bundle/report.css" });

const parts = Object.keys(JSON.parse(readFileSync("package.json", "utf8")).dependencies).map((name) => {
  const folder = `node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  return { name, version, license, text: readFileSync(`${folder}/LICENSE`, "utf8").trim() };
});
writeFileSync("bundle/licenses.json", `${JSON.stringify(parts, null, 1)}\n`);

// what the bundle was made of, so that a test sees a source that was changed and not bundled
const digest = createHash("sha256");
for (const file of ["package-lock.json", "build.mjs", ...readdirSync("src").sort().map((name) => `src/${name}`)]) {
  digest.update(`${file}\n`).update(readFileSync(file));
}
writeFileSync("bundle/sources.sha256", `${digest.digest("hex")}\n`);
