// `ai` with `@ai-sdk/openai-compatible`.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, Output, stepCountIs, streamText, tool } from "ai";
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

const providerWith = (apiKey) =>
  createOpenAICompatible({
    name: "parley",
    baseURL: BASE_URL,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });
const parley = providerWith(KEY);
const model = parley(CHAT);
const plain = { model, maxRetries: 0 };
const tools = {
  [TOOL.name]: tool({
    description: TOOL.description,
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => weather(city),
  }),
};
const tokens = (usage) => [usage.inputTokens, usage.outputTokens, usage.totalTokens];
const called = (steps) => steps.flatMap((step) => step.toolCalls).map((call) => [call.toolName, call.input]);

/** The text of a stream; an error in it is raised. */
async function textOf(result) {
  let text = "";
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") text += part.text;
  }
  return text;
}

await run({
  async chat() {
    const answer = await generateText({ ...plain, instructions: "Be brief.", prompt: HELLO });
    return { text: answer.text, finish: answer.finishReason, usage: tokens(answer.usage) };
  },
  async stream() {
    const result = streamText({ ...plain, prompt: COUNT });
    const text = await textOf(result);
    return { text, finish: await result.finishReason, usage: tokens(await result.usage) };
  },
  async tools() {
    const answer = await generateText({ ...plain, prompt: WEATHER, tools, stopWhen: stepCountIs(3) });
    return { calls: called(answer.steps), text: answer.text };
  },
  async streamed_tools() {
    const result = streamText({ ...plain, prompt: WEATHER, tools, stopWhen: stepCountIs(3) });
    const text = await textOf(result);
    return { calls: called(await result.steps), text };
  },
  async schema() {
    const output = Output.object({ schema: z.object({ name: z.string(), year: z.int() }) });
    return (await generateText({ ...plain, prompt: AUTHOR, output })).output;
  },
  async embeddings() {
    const found = await embedMany({ model: parley.embeddingModel(EMBEDDING), values: TEXTS, maxRetries: 0 });
    const sizes = found.embeddings.map((vector) => vector.length);
    return { sizes, first: rounded(found.embeddings[0].slice(0, 3)) };
  },
  async length() {
    return { finish: (await generateText({ ...plain, prompt: LONG, maxOutputTokens: 50 })).finishReason };
  },
  async reasoning() {
    const answer = await generateText({ ...plain, prompt: THINK });
    return { text: answer.text, reasoning: answer.reasoningText };
  },
  async cut() {
    return { text: await textOf(streamText({ ...plain, prompt: CUT, onError() {} })) };
  },
  wrong_key: () => generateText({ ...plain, model: providerWith(WRONG_KEY)(CHAT), prompt: HELLO }),
  unknown_model: () => generateText({ ...plain, model: parley("no-such-model"), prompt: HELLO }),
  limited: () => generateText({ ...plain, model: providerWith(LIMITED_KEY)(CHAT), prompt: HELLO }),
});
