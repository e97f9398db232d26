#!/bin/sh
# One would guess: useChat of @ai-sdk/react 3 resumes a stream as the Chat of the same package does. `ai` 6 documents that
# DefaultChatTransport's resumeStreamIsReplay, on by default, resets the message at the replay's first `start`.
# What happens: useChat wraps the transport and does not pass resumeStreamIsReplay on. After a lost connection the text is
# there twice; with `new Chat(...)` and the same transport it is there once.
# Ends with 0 while that is so, with 1 when it has changed. Needs Node 22 with npm and a package registry.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm install --loglevel=error --no-audit --no-fund --ignore-scripts \
  ai@6.0.325 @ai-sdk/react@3.0.328 react@19.3.1 react-dom@19.3.1 jsdom@31.0.1 >/dev/null

cat >probe.mjs <<'JS'
import { createRequire } from "node:module";
import { JSDOM } from "jsdom";

const { window } = new JSDOM("<div id=root></div>");
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: false });
const { createElement } = await import("react");
const { createRoot } = await import("react-dom/client");
const { Chat, useChat } = await import("@ai-sdk/react");
const { DefaultChatTransport } = await import("ai");
const version = (name) => createRequire(import.meta.url)(`./node_modules/${name}/package.json`).version;

const frame = (chunk) => new TextEncoder().encode(`data: ${JSON.stringify(chunk)}\n\n`);
const start = [{ type: "start", messageId: "m1" }, { type: "text-start", id: "t" }];
const end = [{ type: "text-end", id: "t" }, { type: "finish" }];

/** The first answer breaks as a lost connection does in a browser; the second is the whole reply, from its beginning. */
async function answer(_, { method }) {
  const lost = method === "POST";
  const chunks = [...start, { type: "text-delta", id: "t", delta: lost ? "Hel" : "Hello" }, ...(lost ? [] : end)];
  const body = new ReadableStream({
    pull(stream) {
      if (chunks.length > 0) stream.enqueue(frame(chunks.shift()));
      else if (lost) stream.error(new TypeError("network error"));
      else stream.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

const options = () => ({ id: "a-chat", transport: new DefaultChatTransport({ api: "http://127.0.0.1/chat", fetch: answer }) });
const text = (chat) => chat.messages.at(-1).parts.map((part) => part.text).join("|");

async function used(chat) {
  await chat().sendMessage({ text: "Hi" });
  await chat().resumeStream();
  await new Promise((done) => setTimeout(done, 100));
  return text(chat());
}

const plain = new Chat(options());
let hooked;
const given = options();
createRoot(document.getElementById("root")).render(createElement(() => ((hooked = useChat(given)), null)));
await new Promise((done) => setTimeout(done, 100));
const seen = { "new Chat": await used(() => plain), useChat: await used(() => hooked) };
console.log(`ai ${version("ai")}, @ai-sdk/react ${version("@ai-sdk/react")}: a replay after a lost connection`);
console.log(seen);
process.exit(seen["new Chat"] === "Hello" && seen.useChat === "Hel|Hello" ? 0 : 1);
JS
node probe.mjs
