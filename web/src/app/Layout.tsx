import type { ReactNode } from 'react'
import { ConversationList } from '../conversations/ConversationList'

/** The frame of all pages: the conversations at the side, the page beside them. */
export function Layout({ children }: { children: ReactNode }) {
  return (
    <>
      <ConversationList />
      <main>{children}</main>
    </>
  )
}
