import { useTexts } from '../i18n/texts'

/** The title of the browser's tab. */
export function PageTitle({ title }: { title?: string }) {
  const { common } = useTexts()
  return <title>{title ? `${title} · ${common.appName}` : common.appName}</title>
}
