import { useLanguage } from '../i18n/texts'
import { count, money } from '../lib/format'
import { Section } from '../ui/Page'
import styles from './UsageSection.module.css'
import { useUsage } from './useUsage'

/** What this month has cost, by model. */
export function UsageSection() {
  const { texts, language } = useLanguage()
  const { account } = texts
  const { data: usage } = useUsage()
  if (!usage) return null
  const rows = [
    ...usage.models.map((one) => ({ key: `${one.provider} ${one.model}`, name: one.model ?? '–', ...one, sum: false })),
    { key: 'today', name: account.today, ...usage.today, sum: true },
    { key: 'month', name: account.month, ...usage.month, sum: true },
  ]
  return (
    <Section title={account.usage} text={account.usageText}>
      {usage.month.replies === 0 ? (
        <p>{account.noUsage}</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
        <section className={styles.scroll} tabIndex={0} aria-label={account.usage}>
          <table className={styles.table}>
            <thead>
              <tr>
                <th scope="col">{account.model}</th>
                <th scope="col">{account.replies}</th>
                <th scope="col">{account.tokens}</th>
                <th scope="col">{account.cost}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={row.key} className={row.sum ? styles.sum : ''}>
                  <th scope="row">{row.name}</th>
                  <td>{count(row.replies, language)}</td>
                  <td>{count(row.tokens, language)}</td>
                  <td>
                    {money(row.cost_micro_usd, language)}
                    {row.unpriced_replies > 0 && <small> {account.unpriced(row.unpriced_replies)}</small>}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Section>
  )
}
