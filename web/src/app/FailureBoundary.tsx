import { Component, type ReactNode } from 'react'
import { useTexts } from '../i18n/texts'
import { Button } from '../ui/Button'
import { Notice } from '../ui/Notice'
import styles from './FailureBoundary.module.css'

/** Keeps the rest of the page when a part of it throws. */
export class FailureBoundary extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false }

  static getDerivedStateFromError() {
    return { failed: true }
  }

  override render() {
    return this.state.failed ? <Failed /> : this.props.children
  }
}

function Failed() {
  const { layout } = useTexts()
  return (
    <div className={styles.failed}>
      <Notice
        tone="danger"
        title={layout.crashed}
        actions={<Button onClick={() => window.location.reload()}>{layout.reload}</Button>}
      >
        <p>{layout.crashedText}</p>
      </Notice>
    </div>
  )
}
