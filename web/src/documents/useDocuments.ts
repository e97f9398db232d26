import type { Schemas } from '../lib/api'
import { find, mapItems, useLivePages } from '../lib/livePages'
import { useServices } from '../lib/services'

export type Document = Schemas['DocumentView']

export const DOCUMENTS = ['documents'] as const

/** The user's documents, the newest first, page by page. Realtime tells how far each is. */
export function useDocuments() {
  const { api } = useServices()
  const { items, ...query } = useLivePages<Document>({
    name: DOCUMENTS,
    without: 3000,
    async read(cursor, signal) {
      const { data } = await api.GET('/v1/documents', { params: { query: { ...(cursor && { cursor }) } }, signal })
      return data as Schemas['DocumentPage']
    },
    apply(pages, event, { document_id: id, ...progress }) {
      if (event === 'document.deleted') return mapItems(pages, (all) => all.filter((one) => one.id !== id))
      if (event !== 'document') return pages
      // another device has added it, or its end has facts that the event lacks
      if (progress.status === 'ready' || !find(pages, String(id))) return null
      return mapItems(pages, (all) => all.map((one) => (one.id === id ? { ...one, ...progress, id: one.id } : one)))
    },
  })
  return { ...query, documents: items }
}
