import { CircleHelp, CircleUser, FileText, PanelLeftClose, SquarePen } from 'lucide-react'
import type { ReactNode, RefObject } from 'react'
import { Link, useRoute } from 'wouter'
import { ConversationList } from '../conversations/ConversationList'
import { useTexts } from '../i18n/texts'
import { useUser } from '../lib/session'
import { IconButton } from '../ui/Button'
import styles from './Side.module.css'

interface SideProps {
  current: string | null
  searchRef: RefObject<HTMLInputElement | null>
  onFold: () => void
  onHelp: () => void
  /** Called when something of it is opened. */
  onOpen: () => void
}

/** What stands beside the page: the conversations, and the ways to the other pages. */
export function Side({ current, searchRef, onFold, onHelp, onOpen }: SideProps) {
  const texts = useTexts()
  const user = useUser()
  return (
    <div className={styles.side}>
      <div className={styles.head}>
        <Link href="/" className={styles.name}>
          <img src="/favicon.svg" alt="" width="24" height="24" />
          {texts.common.appName}
        </Link>
        <IconButton label={texts.shortcuts.side} onClick={onFold}>
          <PanelLeftClose size={18} aria-hidden="true" />
        </IconButton>
      </div>
      <Link href="/" className={styles.new} onClick={onOpen}>
        <SquarePen size={16} aria-hidden="true" />
        {texts.layout.newConversation}
      </Link>
      <ConversationList current={current} searchRef={searchRef} onOpen={onOpen} />
      <div className={styles.foot}>
        <PageLink href="/documents" icon={<FileText size={18} aria-hidden="true" />} onOpen={onOpen}>
          {texts.layout.documents}
        </PageLink>
        <div className={styles.last}>
          <PageLink href="/account" icon={<CircleUser size={18} aria-hidden="true" />} onOpen={onOpen}>
            <span className={styles.who}>{user.email ?? texts.layout.account}</span>
          </PageLink>
          <IconButton label={texts.layout.help} onClick={onHelp}>
            <CircleHelp size={18} aria-hidden="true" />
          </IconButton>
        </div>
      </div>
    </div>
  )
}

function PageLink(props: { href: string; icon: ReactNode; onOpen: () => void; children: ReactNode }) {
  const [isCurrent] = useRoute(props.href)
  return (
    <Link
      href={props.href}
      className={`${styles.page} ${isCurrent ? styles.current : ''}`}
      aria-current={isCurrent ? 'page' : undefined}
      onClick={props.onOpen}
    >
      {props.icon}
      {props.children}
    </Link>
  )
}
