import type { Conversation } from './useConversations'

export type GroupName = 'today' | 'yesterday' | 'week' | 'older'

const DAY_MS = 86_400_000

/** The conversations, which are in order, under the headings of their days. */
export function grouped(conversations: readonly Conversation[], now: number): [GroupName, Conversation[]][] {
  const midnight = new Date(now).setHours(0, 0, 0, 0)
  const nameOf = (one: Conversation): GroupName => {
    const at = Date.parse(one.last_message_at)
    if (at >= midnight) return 'today'
    if (at >= midnight - DAY_MS) return 'yesterday'
    return at >= midnight - 7 * DAY_MS ? 'week' : 'older'
  }
  const groups: [GroupName, Conversation[]][] = []
  for (const one of conversations) {
    const name = nameOf(one)
    const last = groups.at(-1)
    if (last?.[0] === name) last[1].push(one)
    else groups.push([name, [one]])
  }
  return groups
}
