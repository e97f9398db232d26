/** Gives the user a file of what the API answers. Throws what `fetch` throws. */
export async function download(answer: Response, name: string): Promise<void> {
  const url = URL.createObjectURL(await answer.blob())
  const link = document.createElement('a')
  link.href = url
  link.download = nameOf(answer.headers.get('Content-Disposition')) ?? name
  link.click()
  // the browser has read the address by the next turn
  setTimeout(() => URL.revokeObjectURL(url))
}

function nameOf(disposition: string | null): string | null {
  const encoded = disposition?.match(/filename\*=UTF-8''([^;]+)/i)?.[1]
  return encoded ? decodeURIComponent(encoded) : (disposition?.match(/filename="([^"]+)"/)?.[1] ?? null)
}
