// scenarios.py for the programs that run on Node.

export const {
  CLIENT_BASE_URL: BASE_URL,
  CLIENT_KEY: KEY,
  CLIENT_LIMITED_KEY: LIMITED_KEY,
  CLIENT_WRONG_KEY: WRONG_KEY,
} = process.env;
export const CHAT = "auto";
export const EMBEDDING = "text-embedding-3-small";

export const HELLO = "Say hello.";
export const COUNT = "Count to five.";
export const WEATHER = "Compare the weather in Rome and in Oslo.";
export const AUTHOR = "Who wrote the first program? Answer in JSON.";
export const LONG = "Tell a long story.";
export const THINK = "Think, then answer.";
export const CUT = "Begin, and break off.";
export const TEXTS = ["one text", "another text"];

export const TOOL = {
  name: "get_weather",
  description: "The weather in a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

export const weather = (city) => ({ Rome: "21 degrees", Oslo: "4 degrees" })[city];

export const rounded = (numbers) => numbers.map((number) => Math.round(number * 10_000) / 10_000);

/** Run each scenario and print what it returned, or the error that it raised. */
export async function run(scenarios) {
  const told = {};
  for (const [name, scenario] of Object.entries(scenarios)) {
    try {
      told[name] = await scenario();
    } catch (error) {
      told[name] = { error: about(error) };
    }
  }
  console.log(`\n${JSON.stringify(told)}`);
}

function about(error) {
  const kinds = [];
  for (let kind = error?.constructor; kind?.name; kind = Object.getPrototypeOf(kind)) kinds.push(kind.name);
  const headers = error.responseHeaders ?? (error.headers ? Object.fromEntries(error.headers) : {});
  return {
    kind: kinds[0],
    kinds,
    status: error.status ?? error.statusCode ?? null,
    code: error.code ?? null,
    retry_after: headers["retry-after"] ?? null,
    message: String(error.message ?? error),
  };
}
