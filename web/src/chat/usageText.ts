import type { Language, Texts } from '../i18n/texts'
import { count, money } from '../lib/format'
import type { Metadata } from './messages'

/** Who answered, with how many tokens, at what cost: as far as it is known. */
export function usageText(texts: Texts, language: Language, { model, usage, cost_micro_usd: cost }: Metadata): string {
  const tokens = usage ? usage.prompt_tokens + usage.completion_tokens : 0
  return [model, tokens && texts.chat.tokens(count(tokens, language)), cost != null && money(cost, language)]
    .filter(Boolean)
    .join(' · ')
}
