// Bundles a page with the packages of a release: node bundle.mjs ENTRY OUTFILE AI REACT, the latter two as they are
// named in package.json. React's development build is taken, whose StrictMode does everything twice.
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [entry, outfile, ai, react] = process.argv.slice(2);
const modules = fileURLToPath(new URL("../../../node_modules/", import.meta.url));
await build({
  entryPoints: [entry],
  outfile,
  bundle: true,
  format: "esm",
  target: "es2022",
  jsx: "automatic",
  alias: { ai: modules + ai, "@ai-sdk/react": modules + react },
  nodePaths: [modules],
  define: { "process.env.NODE_ENV": '"development"' },
  logLevel: "warning",
});
