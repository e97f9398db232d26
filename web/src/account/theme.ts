import { useStored } from '../lib/stored'

export type Theme = 'system' | 'light' | 'dark'

/** The theme of this browser. The page's `theme.js` applies it before the first paint, this at each change. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [stored, setStored] = useStored('theme')
  const set = (theme: Theme) => {
    setStored(theme === 'system' ? null : theme)
    if (theme === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
  }
  return [stored === 'light' || stored === 'dark' ? stored : 'system', set]
}
