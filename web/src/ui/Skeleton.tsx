import { useTexts } from '../i18n/texts'
import styles from './Skeleton.module.css'

/** The place of lines that are being loaded. */
export function SkeletonLines({ count }: { count: number }) {
  const texts = useTexts()
  return (
    <div role="status" className={styles.lines}>
      <span className="visually-hidden">{texts.common.loading}</span>
      {Array.from({ length: count }, (_, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: they are all alike
        <span key={index} className={styles.line} aria-hidden="true" />
      ))}
    </div>
  )
}
