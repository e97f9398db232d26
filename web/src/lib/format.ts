/** Numbers, money and times, written as the language writes them. */

export function count(value: number, language: string): string {
  return new Intl.NumberFormat(language).format(value)
}

/** 128000 as 128K. */
export function compact(value: number, language: string): string {
  return new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 }).format(value)
}

/** An amount in millionths of a dollar. Small ones keep two digits that say something. */
export function money(microUsd: number, language: string): string {
  const dollars = microUsd / 1_000_000
  const small = dollars !== 0 && Math.abs(dollars) < 0.1
  return new Intl.NumberFormat(language, {
    style: 'currency',
    currency: 'USD',
    ...(small ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 2 }),
  }).format(dollars)
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** How long ago, as in "5 min. ago"; below a minute, "now", and so where the clock of this device is behind. */
export function ago(iso: string, now: number, language: string): string {
  const seconds = Math.min(0, (Date.parse(iso) - now) / 1000)
  const [unit, size] = STEPS.find(([, one]) => Math.abs(seconds) >= one) ?? ['second', 1]
  const format = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' })
  return unit === 'second' ? format.format(0, 'second') : format.format(Math.trunc(seconds / size), unit)
}

export function date(iso: string, language: string): string {
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium' }).format(new Date(iso))
}
