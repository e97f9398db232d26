import { Radio } from '@base-ui/react/radio'
import { useLanguage } from '../i18n/texts'
import { compact, money } from '../lib/format'
import styles from './ModelSelector.module.css'
import type { Model } from './useModels'

export type Named = Pick<Model, 'provider' | 'model'>

/** What tells a model from all others. */
export function keyOf({ provider, model }: Named): string {
  return `${provider} ${model}`
}

/** One model: its health, its context and what it costs; one that may not be chosen says why. */
export function ModelOption({ model, isDefault }: { model: Model; isDefault: boolean }) {
  const { texts, language } = useLanguage()
  const { models } = texts
  const { price, context_tokens: context } = model
  const reason = model.unavailable && (model.unavailable === 'unreachable' ? models.unreachable : models.notAllowed)
  const health = models.health[model.breaker]
  const facts = [
    context && models.context(compact(context, language)),
    price
      ? price.input || price.output
        ? models.price(money(price.input, language), money(price.output, language))
        : models.free
      : models.noPrice,
  ].filter(Boolean)
  return (
    <Radio.Root value={keyOf(model)} disabled={!model.available} className={styles.option}>
      <Radio.Indicator keepMounted className={styles.dot} />
      <span className={styles.about}>
        <span className={styles.name}>
          {model.model}
          <span className={styles.provider}>{model.provider}</span>
          {isDefault && <span className={styles.badge}>{models.isDefault}</span>}
        </span>
        {reason ? (
          <span className={styles.reason}>{reason}</span>
        ) : (
          <>
            {model.breaker !== 'closed' && <span className={styles.ill}>{health}</span>}
            <span className={styles.facts}>{facts.join(' · ')}</span>
          </>
        )}
      </span>
      {!reason && (
        <span className={`${styles.health} ${model.breaker === 'closed' ? '' : styles.sick}`} title={health} />
      )}
    </Radio.Root>
  )
}
