// The AI SDK as its documentation shows it: streamText, sent as a stream of UI messages. It stores nothing.
// node server.mjs PORT UPSTREAM_PORT
import { createServer } from "node:http";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { streamText } from "ai";

const [port, upstream] = process.argv.slice(2);
const provider = createOpenAICompatible({
  name: "fake",
  apiKey: "bench",
  baseURL: `http://127.0.0.1:${upstream}/v1`,
});

const server = createServer(async (request, response) => {
  if (request.method === "GET") {
    response.end();
    return;
  }
  let body = "";
  for await (const piece of request) body += piece;
  const { model, messages } = JSON.parse(body);
  const result = streamText({ model: provider(model), messages });
  result.pipeUIMessageStreamToResponse(response);
});
server.listen(Number(port), "127.0.0.1");
