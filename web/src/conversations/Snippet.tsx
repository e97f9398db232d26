import { Fragment } from 'react'

const ENTITIES: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&amp;': '&', '&quot;': '"', '&#39;': "'" }

/** A snippet of a search, whose only tags are those of marks. Nothing of it becomes HTML. */
export function Snippet({ html }: { html: string }) {
  const parts = html.split(/<mark>(.*?)<\/mark>/s)
  return parts.map((part, index) => {
    const text = part.replace(/&(?:lt|gt|amp|quot|#39);/g, (entity) => ENTITIES[entity] ?? entity)
    // every second part was between the tags; parts have no identity but their place
    // biome-ignore lint/suspicious/noArrayIndexKey: see above
    return index % 2 ? <mark key={index}>{text}</mark> : <Fragment key={index}>{text}</Fragment>
  })
}
