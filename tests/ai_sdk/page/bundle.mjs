// Bundles a page with the packages of a release: node bundle.mjs ENTRY OUTFILE AI REACT, the latter two as they are
// named in package.json. React's development build is taken, whose StrictMode does everything twice.
import { fileURLToPath } from "node:url";
import { build } from "rolldown";

const [entry, outfile, ai, react] = process.argv.slice(2);
const modules = fileURLToPath(new URL("../../../node_modules", import.meta.url));
await build({
  input: entry,
  platform: "browser",
  resolve: {
    alias: { ai: `${modules}/${ai}`, "@ai-sdk/react": `${modules}/${react}` },
    modules: ["node_modules", modules],
  },
  transform: { define: { "process.env.NODE_ENV": '"development"' }, jsx: "react-jsx" },
  output: { file: outfile, format: "esm" },
  logLevel: "warn",
});
