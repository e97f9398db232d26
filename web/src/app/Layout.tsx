import { Dialog } from '@base-ui/react/dialog'
import { PanelLeft, SquarePen } from 'lucide-react'
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { flushSync } from 'react-dom'
import { Link, useLocation, useRoute } from 'wouter'
import { useTexts } from '../i18n/texts'
import { useStored } from '../lib/stored'
import { IconButton } from '../ui/Button'
import { ConnectionBanner } from './ConnectionBanner'
import { HelpSheet } from './HelpSheet'
import styles from './Layout.module.css'
import { Side } from './Side'
import { useShortcuts } from './shortcuts'

/** From this width on, the conversations are beside the page; below, in a drawer over it. As in Layout.module.css. */
const WIDE = '(min-width: 56rem)'

/** The frame of all pages: the conversations at the side, the page beside them. */
export function Layout({ children }: { children: ReactNode }) {
  const texts = useTexts()
  const [address, navigate] = useLocation()
  const [, conversation] = useRoute<{ id: string }>('/c/:id')
  const [stored, setStored] = useStored('side')
  const [isDrawerOpen, setIsDrawerOpen] = useState(false)
  const [isHelpOpen, setIsHelpOpen] = useState(false)
  const search = useRef<HTMLInputElement>(null)
  const main = useRef<HTMLElement>(null)
  const isFolded = stored === 'folded'

  const actions = useMemo(() => {
    const isWide = () => window.matchMedia(WIDE).matches
    const showSide = () => (isWide() ? setStored(null) : setIsDrawerOpen(true))
    return {
      help: () => setIsHelpOpen(true),
      search: () => {
        flushSync(showSide)
        search.current?.focus()
      },
      newConversation: () => {
        navigate('/')
        requestAnimationFrame(() => main.current?.querySelector('textarea')?.focus())
      },
      composer: () => main.current?.querySelector('textarea')?.focus(),
      side: () => {
        if (isWide()) setStored(isFolded ? null : 'folded')
        else setIsDrawerOpen((before) => !before)
      },
    }
  }, [navigate, setStored, isFolded])
  useShortcuts(actions)

  // biome-ignore lint/correctness/useExhaustiveDependencies: another address closes the drawer
  useEffect(() => setIsDrawerOpen(false), [address])

  const closeDrawer = useCallback(() => setIsDrawerOpen(false), [])
  const side = (
    <Side
      current={conversation?.id ?? null}
      searchRef={search}
      onFold={actions.side}
      onHelp={actions.help}
      onOpen={closeDrawer}
    />
  )
  return (
    <div className={`${styles.layout} ${isFolded ? styles.folded : ''}`}>
      <a href="#main" className={styles.skip}>
        {texts.layout.skip}
      </a>
      {!isFolded && <aside className={styles.side}>{side}</aside>}
      <Dialog.Root open={isDrawerOpen} onOpenChange={setIsDrawerOpen}>
        <Dialog.Portal>
          <Dialog.Backdrop className={styles.veil} />
          <Dialog.Popup className={styles.drawer} aria-label={texts.layout.conversations}>
            {side}
          </Dialog.Popup>
        </Dialog.Portal>
      </Dialog.Root>
      <div className={styles.page}>
        <header className={styles.bar}>
          <IconButton label={texts.layout.openSide} onClick={actions.side}>
            <PanelLeft size={20} aria-hidden="true" />
          </IconButton>
          <span className={styles.name}>{texts.common.appName}</span>
          <Link href="/" className={styles.new} aria-label={texts.layout.newConversation}>
            <SquarePen size={20} aria-hidden="true" />
          </Link>
        </header>
        <ConnectionBanner />
        <main id="main" ref={main} tabIndex={-1} className={styles.main}>
          {children}
        </main>
      </div>
      <HelpSheet open={isHelpOpen} onClose={() => setIsHelpOpen(false)} />
    </div>
  )
}
