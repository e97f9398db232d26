import { LANGUAGES, type Language, useLanguage } from '../i18n/texts'
import { Section } from '../ui/Page'
import styles from './AppearanceSection.module.css'
import { useTheme } from './theme'

/** The language and the theme of this browser. */
export function AppearanceSection() {
  const { texts, chosen, choose } = useLanguage()
  const { account } = texts
  const [theme, setTheme] = useTheme()
  return (
    <Section title={account.appearance}>
      <div className={styles.choices}>
        <label className={styles.choice}>
          {account.language}
          <select
            className={styles.select}
            value={chosen ?? ''}
            onChange={(event) => choose((event.target.value || null) as Language | null)}
          >
            <option value="">{account.languageOfBrowser}</option>
            {Object.entries(LANGUAGES).map(([code, name]) => (
              <option key={code} value={code} lang={code}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label className={styles.choice}>
          {account.theme}
          <select
            className={styles.select}
            value={theme}
            onChange={(event) => setTheme(event.target.value as typeof theme)}
          >
            {(['system', 'light', 'dark'] as const).map((one) => (
              <option key={one} value={one}>
                {account.themes[one]}
              </option>
            ))}
          </select>
        </label>
      </div>
    </Section>
  )
}
