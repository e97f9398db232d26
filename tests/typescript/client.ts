// A small client of the whole API, on types that openapi-typescript makes of docs/openapi.json (here `parley-api`).
// tests/test_typescript.py compiles it with `tsc --strict` and runs it against the API.

import createClient from "openapi-fetch";
import type { components, paths } from "parley-api";

type Schemas = components["schemas"];
type ReplyEvent = Schemas["ReplyEvent"];
type Api = ReturnType<typeof connect>;

export function connect(baseUrl: string, token: string) {
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
}

function assert(condition: unknown): asserts condition {
  if (!condition) throw new Error("not as described");
}

/** What openapi-fetch answers; of a problem every operation has at least this, or where JSON is not asked for its words. */
type Answer<Data> = { data?: Data; error?: { code: string; detail?: string } | string };

/** The data of an answer; a problem becomes an error with its code. */
function taken<Data>({ data, error }: Answer<Data>): Data {
  if (error) throw new Error(typeof error === "string" ? error : `${error.code}: ${error.detail ?? ""}`);
  return data as Data;
}

/** The events of a stream. */
async function* events(answer: Answer<unknown>): AsyncGenerator<ReplyEvent> {
  const body = taken(answer) as ReadableStream<BufferSource>;
  let buffer = "";
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    buffer += text;
    const frames = buffer.split("\n\n");
    buffer = frames.pop() ?? "";
    for (const frame of frames.filter((frame) => !frame.startsWith(":"))) {
      const fields = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      yield { ...fields, data: JSON.parse(fields["data"] ?? "") } as ReplyEvent;
    }
  }
}

/** What a reader shows of a reply: a case for each event, and none is forgotten. */
function shown(text: string, event: ReplyEvent): string {
  switch (event.event) {
    case "message.started":
      return `${event.data.provider ?? "?"}/${event.data.model ?? "?"}: `;
    case "sources":
      return text + event.data.items.map((source) => `[${source.title} ${source.similarity}]`).join("");
    case "restart":
      return `${event.data.provider}/${event.data.model} (${event.data.reason}): `;
    case "reasoning":
      return `${text}(${event.data.text})`;
    case "delta":
      return text + event.data.text;
    case "done":
      return `${text} (${event.data.finish_reason}, ${event.data.usage?.completion_tokens ?? "?"} tokens)`;
    case "stopped":
      return `${text} (stopped after ${event.data.length})`;
    case "error":
      return `${text} (${event.data.problem.code}: ${event.data.problem.detail ?? event.data.problem.title})`;
    case "reconnect":
      return text;
    default:
      return event satisfies never;
  }
}

async function conversations(api: Api): Promise<Schemas["ConversationView"]> {
  const created = taken(await api.POST("/v1/conversations", { body: { title: "Rome" } }));
  taken(await api.POST("/v1/conversations"));
  const found = taken(await api.GET("/v1/conversations", { params: { query: { q: "rom" } } }));
  assert(found.items.length > 0 && found.items.every((item) => item.hit && item.hit.message_id === null && item.hit.snippet.includes("<mark>")));
  const path = { conversation_id: created.id };
  const renamed = taken(await api.PATCH("/v1/conversations/{conversation_id}", { params: { path }, body: { title: null } }));
  const title: string | null = renamed.title;
  taken(await api.PATCH("/v1/settings", { body: { instructions: "Be brief." } }));
  const settings = taken(await api.GET("/v1/settings"));
  assert(settings.instructions === "Be brief." && renamed.instructions === null);
  const read = taken(await api.GET("/v1/conversations/{conversation_id}", { params: { path } }));
  const page = taken(await api.GET("/v1/conversations", { params: { query: { limit: 10 } } }));
  const cursor: string | null = page.next_cursor;
  const titles = page.items.map((item) => item.title?.toUpperCase());
  assert(title === null && titles.length > 0 && cursor !== "");
  return read;
}

async function messages(api: Api, conversation: Schemas["ConversationView"], content: string): Promise<string> {
  const params = { path: { conversation_id: conversation.id } };

  const begun = taken(
    await api.POST("/v1/conversations/{conversation_id}/messages", {
      params: { ...params, header: { "Idempotency-Key": crypto.randomUUID() } },
      body: { content },
    }),
  );
  assert("user_message" in begun);
  const reply = { path: { message_id: begun.message.id } };
  taken(await api.POST("/v1/messages/{message_id}/stop", { params: reply }));

  const waited = taken(
    await api.POST("/v1/conversations/{conversation_id}/messages", {
      params: { ...params, header: { Prefer: "wait" } },
      body: { content, task_type: "general", max_tokens: 200, use_rag: false },
    }),
  );
  assert("role" in waited);
  const tokens: number = waited.usage?.completion_tokens ?? 0;
  const source: number | undefined = waited.sources?.[0]?.similarity;
  assert(tokens > 0 && source === undefined);

  const streamed = await api.POST("/v1/messages/{message_id}/regenerate", {
    params: { path: { message_id: waited.id } },
    headers: { Accept: "text/event-stream" },
    parseAs: "stream",
  });
  let text = "";
  let half = "";
  for await (const event of events(streamed)) {
    text = shown(text, event);
    if (event.event === "message.started") half = event.id;
  }
  const again = await api.GET("/v1/messages/{message_id}/stream", {
    params: { path: { message_id: waited.id }, header: { "Last-Event-ID": half } },
    parseAs: "stream",
  });
  for await (const event of events(again)) assert(event.event !== "message.started");

  const read = taken(await api.GET("/v1/messages/{message_id}", { params: reply }));
  const query = { order: "desc", limit: 10, before: waited.id } as const;
  const page = taken(await api.GET("/v1/conversations/{conversation_id}/messages", { params: { ...params, query } }));
  assert(page.items.some((message) => message.role === "assistant" && message.id === read.id));

  const edited = taken(
    await api.POST("/v1/conversations/{conversation_id}/messages", { params, body: { content, parent_id: null } }),
  );
  assert("user_message" in edited);
  const switched = taken(await api.PATCH("/v1/conversations/{conversation_id}", { params, body: { head_id: read.id } }));
  const preview: string | null = switched.preview;
  const rated = taken(
    await api.PUT("/v1/messages/{message_id}/feedback", {
      params: { path: { message_id: edited.message.id } },
      body: { rating: "up" },
    }),
  );
  assert(rated.feedback?.rating === "up");
  const exported = taken(await api.GET("/v1/conversations/{conversation_id}/export", { params }));
  assert(typeof exported !== "string" && exported.messages.some((message) => message.feedback?.rating === "up"));
  const begun_import = taken(await api.POST("/v1/imports", { body: exported }));
  taken(await api.GET("/v1/imports/{import_id}", { params: { path: { import_id: begun_import.id } } }));
  const lines = taken(await api.GET("/v1/export", { parseAs: "text" }));
  assert(lines.trimEnd().split("\n").at(-1)?.startsWith('{"type":"end"') === true);
  taken(
    await api.DELETE("/v1/messages/{message_id}/feedback", { params: { path: { message_id: edited.message.id } } }),
  );
  taken(await api.DELETE("/v1/messages/{message_id}", { params: { path: { message_id: edited.user_message.id } } }));
  const left = taken(await api.GET("/v1/conversations/{conversation_id}/messages", { params }));
  const others: number = left.items[0]?.siblings?.count ?? 1;
  assert(others === 1 && preview !== "" && switched.message_count > left.items.length);
  return text;
}

async function chat(api: Api, text: string): Promise<void> {
  const path = { chat_id: "Köln/Straße 5?" };
  const message: Schemas["SentUIMessage"] = { id: "kQ3hPz7mYx2LwB9c", role: "user", parts: [{ type: "text", text }] };
  const sent: unknown = taken(await api.POST("/v1/chat", { body: { id: path.chat_id, message }, parseAs: "stream" }));
  await new Response(sent as ReadableStream).text();
  const resumed: unknown = taken(await api.GET("/v1/chat/{chat_id}/stream", { params: { path }, parseAs: "stream" }));
  assert((await new Response(resumed as ReadableStream).text()).endsWith("data: [DONE]\n\n"));
  const stopped = await api.POST("/v1/chat/{chat_id}/stop", { params: { path } });
  assert(stopped.response.status === 204);
  const page = taken(await api.GET("/v1/chat/{chat_id}/messages", { params: { path } }));
  const [asked, reply] = page.items;
  assert(asked?.parts[0]?.type === "text" && asked.parts[0].text === text && reply?.metadata.status === "complete");
}

async function documents(api: Api): Promise<void> {
  const metadata = { language: "en", shelf: { row: 3 } };
  const body = { title: "House rules", content: "The kitchen closes at ten.", metadata };
  const created = taken(await api.POST("/v1/documents", { body }));
  const path = { document_id: created.id };
  taken(
    await api.POST("/v1/documents", {
      body: { file: "Dogs are welcome.", title: "Dogs" },
      bodySerializer: (body) => {
        const form = new FormData();
        assert("file" in body);
        form.set("file", new Blob([body.file], { type: "text/plain" }), "dogs.txt");
        form.set("title", body.title ?? "");
        return form;
      },
    }),
  );
  taken(await api.PUT("/v1/documents/{document_id}", { params: { path }, body: { ...body, content: "It closes at nine." } }));
  const read = taken(await api.GET("/v1/documents/{document_id}", { params: { path } }));
  const language: unknown = read.metadata["language"];
  const page = taken(await api.GET("/v1/documents"));
  assert(language === "en" && page.items.some((document) => document.status !== "failed"));
  const found = taken(await api.POST("/v1/search", { body: { query: "When does the kitchen close?" } }));
  const places = found.items.map((passage) => [passage.metadata.heading, passage.metadata.start, passage.score]);
  assert(places);
  taken(await api.DELETE("/v1/documents/{document_id}", { params: { path } }));
}

async function others(api: Api): Promise<void> {
  const models = taken(await api.GET("/v1/models"));
  const best: string | undefined = models.default?.model;
  const open = models.items.filter((model) => model.breaker === "half-open");
  const usage = taken(await api.GET("/v1/usage"));
  const left: number = usage.requests.remaining + (usage.budget?.remaining_micro_usd ?? 0);
  const estimate = taken(await api.POST("/v1/estimate", { body: { content: "Hello" } }));
  const most: number = Math.max(...estimate.models.map((model) => model.cost_micro_usd ?? 0));
  assert(most >= 0 && estimate.left.requests.limit > 0);
  const key = taken(await api.POST("/v1/keys", { body: { name: "notebook", expires_at: new Date(Date.now() + 60_000).toISOString() } }));
  const keys = taken(await api.GET("/v1/keys"));
  assert(key.key.startsWith(key.hint) && keys.items.some((one) => one.id === key.id && one.last_used_at === null));
  taken(await api.DELETE("/v1/keys/{key_id}", { params: { path: { key_id: key.id } } }));
  const live = taken(await api.GET("/health/live"));
  const ready = taken(await api.GET("/health/ready"));
  assert(best && open && left > 0 && live.status === "ok" && ready.status === "ok");

  const verdict = await api.POST("/v1/moderations", { body: { content: "Hello" } });
  if (verdict.error) {
    switch (verdict.error.code) {
      case "moderation_off":
      case "provider_unavailable":
      case "supabase_unavailable":
        assert(verdict.error.status === 503);
        break;
      case "rate_limited":
        assert(verdict.response.headers.get("Retry-After"));
        break;
      default:
        throw new Error(verdict.error.code);
    }
  } else assert(verdict.data.allowed || verdict.data.categories.length > 0);
}

/** The surface of OpenAI's API: its errors have a shape of their own. */
async function completions(api: Api): Promise<void> {
  const body = { model: "auto", messages: [{ role: "user" as const, content: "Hello" }] };
  const completion = await api.POST("/openai/v1/chat/completions", { body });
  assert(completion.data && "object" in completion.data);  // or an event, where a stream is asked for
  const text: string | null | undefined = completion.data.choices[0]?.message.content;
  assert(text && completion.data.usage.total_tokens > 0);
  const refused = await api.POST("/openai/v1/chat/completions", { body: { ...body, n: 2 } });
  assert(refused.error?.error.param === "n");
  const models = await api.GET("/openai/v1/models");
  assert(models.data?.data.some((model) => model.id === "auto"));
  const one = await api.GET("/openai/v1/models/{model}", { params: { path: { model: "auto" } } });
  assert(one.data?.owned_by);
  const vectors = await api.POST("/openai/v1/embeddings", { body: { model: "auto", input: ["a cat", "a dog"] } });
  assert(vectors.data?.data.length === 2);
}

/** What must not compile: were the types `any`, it would. Nobody calls it. */
export async function refused(api: Api, message: Schemas["MessageView"], page: Schemas["MessagePage"], event: ReplyEvent) {
  // @ts-expect-error a provider may be null
  message.provider.length;
  // @ts-expect-error there is no such field
  page.items[0]?.subject;
  // @ts-expect-error a source has no such field
  message.sources?.[0]?.page;
  // @ts-expect-error not every event has an id
  event.id;
  // @ts-expect-error not every event has a text
  event.data.text;
  const params = { path: { conversation_id: message.conversation_id } };
  // @ts-expect-error content is missing
  await api.POST("/v1/conversations/{conversation_id}/messages", { params, body: { max_tokens: 5 } });
  // @ts-expect-error max_tokens is a number
  await api.POST("/v1/conversations/{conversation_id}/messages", { params, body: { content: "x", max_tokens: "5" } });
  // @ts-expect-error there is no such provider
  await api.POST("/v1/conversations/{conversation_id}/messages", { params, body: { content: "x", provider: "acme" } });
  // @ts-expect-error a body is needed
  await api.POST("/v1/search");
  const found = await api.POST("/v1/search", { body: { query: "x" } });
  // @ts-expect-error a search is not moderated
  assert(found.error?.code !== "moderation_off");
}

/** Everything once; what the streamed reply showed. */
export async function everything(baseUrl: string, token: string, content: string): Promise<string> {
  const api = connect(baseUrl, token);
  const conversation = await conversations(api);
  const text = await messages(api, conversation, content);
  await chat(api, content);
  await documents(api);
  await others(api);
  await completions(api);
  taken(await api.DELETE("/v1/conversations/{conversation_id}", { params: { path: { conversation_id: conversation.id } } }));
  const erased = taken(await api.DELETE("/v1/me/data", { body: { confirm: "delete everything of mine" } }));
  assert(erased.conversations > 0);
  return text;
}
