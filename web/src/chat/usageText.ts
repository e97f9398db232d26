import type { Language, Texts } from '../i18n/texts'
import type { Metadata } from './messages'

/** Who answered, with how many tokens, at what cost: as far as it is known. */
export function usageText(texts: Texts, language: Language, { model, usage, cost_micro_usd: cost }: Metadata): string {
  const tokens = usage ? usage.prompt_tokens + usage.completion_tokens : 0
  return [
    model,
    tokens ? texts.chat.tokens(tokens.toLocaleString(language)) : null,
    cost == null ? null : money(cost, language),
  ]
    .filter(Boolean)
    .join(' · ')
}

/** Millionths of a dollar as dollars; small amounts with the digits that tell them from nothing. */
function money(microUsd: number, language: Language): string {
  const dollars = microUsd / 1e6
  const digits = dollars === 0 || dollars >= 0.01 ? 2 : 6
  return dollars.toLocaleString(language, {
    style: 'currency',
    currency: 'USD',
    maximumSignificantDigits: dollars >= 0.01 ? 3 : 2,
    minimumFractionDigits: Math.min(2, digits),
  })
}
