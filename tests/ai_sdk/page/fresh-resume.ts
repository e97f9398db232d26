// placeholder until docs
export const freshResume = (next: typeof fetch): typeof fetch => async (input, init) => {
  const response = await next(input, init);
  if (!response.body) return response;
  const reader = response.body.getReader();
  const body = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch {
        controller.error(new Error("The connection was lost."));
      }
    },
    cancel: (reason) => reader.cancel(reason),
  });
  return new Response(body, response);
};
