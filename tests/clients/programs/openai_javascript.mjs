// `openai` for JavaScript.

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import {
  AUTHOR,
  BASE_URL,
  CHAT,
  COUNT,
  CUT,
  EMBEDDING,
  HELLO,
  KEY,
  LIMITED_KEY,
  LONG,
  rounded,
  run,
  TEXTS,
  THINK,
  TOOL,
  WEATHER,
  WRONG_KEY,
  weather,
} from "./scenarios.mjs";

const clientWith = (apiKey) => new OpenAI({ baseURL: BASE_URL, apiKey, maxRetries: 0 });
const client = clientWith(KEY);
const tools = [{ type: "function", function: { ...TOOL, strict: true } }];
const user = (content) => ({ role: "user", content });
const ask = (text, options = {}, by = client) =>
  by.chat.completions.create({ model: CHAT, messages: [user(text)], ...options });
const tokens = (usage) => [usage.prompt_tokens, usage.completion_tokens, usage.total_tokens];

async function finished(said) {
  const results = said.tool_calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: weather(JSON.parse(call.function.arguments).city),
  }));
  const answer = await client.chat.completions.create({
    model: CHAT,
    messages: [user(WEATHER), said, ...results],
    tools,
  });
  return {
    calls: said.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]),
    text: answer.choices[0].message.content,
  };
}

async function textOf(stream) {
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
  return text;
}

await run({
  async chat() {
    const messages = [{ role: "developer", content: "Be brief." }, user(HELLO)];
    const answer = await client.chat.completions.create({ model: CHAT, messages, max_completion_tokens: 50 });
    const [choice] = answer.choices;
    return { text: choice.message.content, finish: choice.finish_reason, usage: tokens(answer.usage) };
  },
  async stream() {
    let text = "";
    let usage = null;
    const finish = [];
    const roles = [];
    for await (const chunk of await ask(COUNT, { stream: true, stream_options: { include_usage: true } })) {
      const [choice] = chunk.choices;
      if (!choice) {
        usage = chunk.usage;
        continue;
      }
      finish.push(choice.finish_reason);
      text += choice.delta.content ?? "";
      if (choice.delta.role) roles.push(choice.delta.role);
    }
    const early = finish.slice(0, -1).filter((one) => one !== null);
    return { text, finish: finish.at(-1), early_finishes: early, roles, usage: tokens(usage) };
  },
  async stream_helper() {
    return { text: await client.chat.completions.stream({ model: CHAT, messages: [user(COUNT)] }).finalContent() };
  },
  async tools() {
    return finished((await ask(WEATHER, { tools })).choices[0].message);
  },
  async streamed_tools() {
    const stream = client.chat.completions.stream({ model: CHAT, messages: [user(WEATHER)], tools });
    return finished((await stream.finalChatCompletion()).choices[0].message);
  },
  async schema() {
    const Author = z.object({ name: z.string(), year: z.int() });
    const answer = await client.chat.completions.parse({
      model: CHAT,
      messages: [user(AUTHOR)],
      response_format: zodResponseFormat(Author, "author"),
    });
    return answer.choices[0].message.parsed;
  },
  async embeddings() {
    const answer = await client.embeddings.create({ model: EMBEDDING, input: TEXTS });
    const vectors = answer.data.map((one) => Array.from(one.embedding));
    return { sizes: vectors.map((vector) => vector.length), first: rounded(vectors[0].slice(0, 3)) };
  },
  async models() {
    const found = [];
    for await (const model of client.models.list()) found.push(model.id);
    return found;
  },
  async length() {
    return { finish: (await ask(LONG, { max_tokens: 50 })).choices[0].finish_reason };
  },
  async reasoning() {
    const { content, reasoning } = (await ask(THINK)).choices[0].message;
    return { text: content, reasoning };
  },
  async cut() {
    return { text: await textOf(await ask(CUT, { stream: true })) };
  },
  wrong_key: () => ask(HELLO, {}, clientWith(WRONG_KEY)),
  unknown_model: () => ask(HELLO, { model: "no-such-model" }),
  limited: () => ask(HELLO, {}, clientWith(LIMITED_KEY)),
});
