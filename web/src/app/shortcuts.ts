import { useEffect } from 'react'
import type { Texts } from '../i18n/texts'

const isApple = /mac|iphone|ipad/i.test(navigator.userAgent)
/** The key for commands, as it is written on keyboards. */
export const COMMAND = isApple ? '⌘' : 'Ctrl'

type Group = 'anywhere' | 'inList' | 'inComposer'
type Name = keyof Texts['shortcuts']

/** All that the keyboard can do, for the help sheet. Those of the page as a whole are bound by `useShortcuts`. */
export const SHORTCUTS: { group: Group; does: Name; keys: string[] }[] = [
  { group: 'anywhere', does: 'help', keys: ['?'] },
  { group: 'anywhere', does: 'search', keys: [COMMAND, 'K'] },
  { group: 'anywhere', does: 'newConversation', keys: [COMMAND, 'Shift', 'O'] },
  { group: 'anywhere', does: 'composer', keys: ['Shift', 'Esc'] },
  { group: 'anywhere', does: 'side', keys: [COMMAND, 'B'] },
  { group: 'anywhere', does: 'dismiss', keys: ['Esc'] },
  { group: 'inList', does: 'move', keys: ['↑', '↓'] },
  { group: 'inList', does: 'openConversation', keys: ['Enter'] },
  { group: 'inList', does: 'rename', keys: ['F2'] },
  { group: 'inList', does: 'remove', keys: [isApple ? '⌫' : 'Del'] },
  { group: 'inComposer', does: 'send', keys: ['Enter'] },
  { group: 'inComposer', does: 'newLine', keys: ['Shift', 'Enter'] },
]

interface Actions {
  help: () => void
  search: () => void
  newConversation: () => void
  composer: () => void
  side: () => void
}

/** Whether a key that is pressed there writes a letter. */
function isWriting(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches('input, textarea, select, [contenteditable="true"]')
}

/** Binds the keys of the page as a whole. */
export function useShortcuts(actions: Actions): void {
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing) return
      const command = isApple ? event.metaKey : event.ctrlKey
      const key = event.key.toLowerCase()
      let action: (() => void) | undefined
      if (command && !event.altKey) {
        if (key === 'k' && !event.shiftKey) action = actions.search
        else if (key === 'o' && event.shiftKey) action = actions.newConversation
        else if (key === 'b' && !event.shiftKey) action = actions.side
      } else if (key === 'escape' && event.shiftKey) action = actions.composer
      else if (key === '?' && !isWriting(event.target)) action = actions.help
      if (!action) return
      event.preventDefault()
      action()
    }
    window.addEventListener('keydown', pressed)
    return () => window.removeEventListener('keydown', pressed)
  }, [actions])
}
