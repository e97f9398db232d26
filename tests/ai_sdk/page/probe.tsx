// A page with one chat, which tests drive by `window.chat` and watch by `window.seen`. Its address says what it shows.
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { plainErrors } from "./plain-errors"; // of docs/clients.md

const said = new URLSearchParams(location.search);
const [api, id, token] = ["api", "id", "token"].map((name) => said.get(name)!);
const headers = { Authorization: `Bearer ${token}`, "X-UI-Message-Chunks": said.get("chunks") ?? "" };
const transport = new DefaultChatTransport({ api, headers, fetch: said.has("plain") ? plainErrors : undefined });
const stopEverywhere = () => fetch(`${api}/${encodeURIComponent(id)}/stop`, { method: "POST", headers });
/** As an application does that is told to resume; connections that are kept lead to the old server. */
const resumeUntilReady = () => {
  const timer = setInterval(() => {
    if (window.chat.status === "error") window.chat.resumeStream();
    if (window.chat.status === "ready") clearInterval(timer);
  }, 50);
};
const seen = { texts: [] as string[], statuses: [] as string[], data: [] as unknown[], finishes: [] as unknown[] };

function Chat({ messages: initial }) {
  const chat = useChat({
    id,
    transport,
    messages: initial,
    resume: said.has("resume"),
    onData: (part) => seen.data.push(part),
    onFinish: ({ isAbort, isDisconnect, isError }) => seen.finishes.push({ isAbort, isDisconnect, isError }),
  });
  const last = chat.messages.at(-1);
  if (last?.role === "assistant") {
    seen.texts.push(last.parts.map((part) => (part.type === "text" ? part.text : "")).join(""));
  }
  if (seen.statuses.at(-1) !== chat.status) seen.statuses.push(chat.status);
  Object.assign(window, { chat, seen, stopEverywhere, resumeUntilReady });
  return (
    <main id="chat" data-status={chat.status}>
      {chat.messages.map((message) => (
        <article key={message.id} data-role={message.role}>
          {message.parts.map((part, index) =>
            part.type === "text" ? <p key={index}>{part.text}</p>
            : part.type === "reasoning" ? <blockquote key={index}>{part.text}</blockquote>
            : part.type === "source-document" ? <cite key={index}>{part.title}</cite>
            : null,
          )}
        </article>
      ))}
      <output>{chat.error?.message}</output>
    </main>
  );
}

const loaded = await fetch(`${api}/${encodeURIComponent(id)}/messages`, { headers }).then((answer) => answer.json());
const page = <Chat messages={loaded.items} />;
createRoot(document.getElementById("root")!).render(said.has("strict") ? <StrictMode>{page}</StrictMode> : page);
