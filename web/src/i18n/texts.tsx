import { createContext, type ReactNode, use, useContext, useEffect, useMemo } from 'react'
import { useStored } from '../lib/stored'
import { en } from './en'

export type Texts = typeof en
export type Language = 'en' | 'pt-BR'

export const LANGUAGES: Record<Language, string> = { en: 'English', 'pt-BR': 'Português (Brasil)' }

const loaded = new Map<Language, Promise<Texts>>([['en', Promise.resolve(en)]])

function textsOf(language: Language): Promise<Texts> {
  const known = loaded.get(language)
  if (known) return known
  const texts = import('./pt-BR').then(
    ({ ptBR }) => ptBR,
    () => {
      // no connection: English, until the language is shown anew with one
      window.addEventListener('online', () => loaded.delete(language), { once: true })
      return en
    },
  )
  loaded.set(language, texts)
  return texts
}

interface Spoken {
  language: Language
  chosen: Language | null
  choose: (language: Language | null) => void
  texts: Texts
}

const SpokenContext = createContext<Spoken | null>(null)

function languageOfBrowser(): Language {
  return navigator.languages
    .find((one) => /^(en|pt)\b/i.test(one))
    ?.toLowerCase()
    .startsWith('pt')
    ? 'pt-BR'
    : 'en'
}

function isLanguage(text: string | null): text is Language {
  return text !== null && Object.hasOwn(LANGUAGES, text)
}

/** Gives the texts of the chosen language, or of the browser's. Suspends while they are loaded. */
export function TextsProvider({ children }: { children: ReactNode }) {
  const [stored, setStored] = useStored('language')
  const chosen = isLanguage(stored) ? stored : null
  const language = chosen ?? languageOfBrowser()
  const texts = use(textsOf(language))
  useEffect(() => {
    document.documentElement.lang = language
  }, [language])
  const spoken = useMemo(() => ({ language, chosen, choose: setStored, texts }), [language, chosen, setStored, texts])
  return <SpokenContext value={spoken}>{children}</SpokenContext>
}

export function useLanguage(): Spoken {
  const spoken = useContext(SpokenContext)
  if (!spoken) throw new Error('useLanguage needs a TextsProvider around it')
  return spoken
}

/** The texts of the shown language: `const texts = useTexts()`, then `texts.common.save`. */
export function useTexts(): Texts {
  return useLanguage().texts
}
