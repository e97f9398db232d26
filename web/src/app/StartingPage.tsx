import { useEffect, useState } from 'react'
import { useTexts } from '../i18n/texts'
import { loadConfig } from '../lib/config'
import { createServices, type Services } from '../lib/services'
import { Notice } from '../ui/Notice'
import styles from './FailureBoundary.module.css'
import { ParleyProvider } from './ParleyProvider'
import { Routes } from './Routes'

const RETRY_MS = 2000

/** Reads where the services are, as often as it takes, then shows the client. */
export function StartingPage() {
  const { layout } = useTexts()
  const [services, setServices] = useState<Services | null>(null)
  const [failed, setFailed] = useState(false)
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>
    let isOn = true
    const start = () =>
      loadConfig().then(
        (config) => isOn && setServices(createServices(config)),
        () => {
          if (!isOn) return
          setFailed(true)
          timer = setTimeout(start, RETRY_MS)
        },
      )
    void start()
    return () => {
      isOn = false
      clearTimeout(timer)
    }
  }, [])
  if (services)
    return (
      <ParleyProvider services={services}>
        <Routes />
      </ParleyProvider>
    )
  return failed ? (
    <div className={styles.failed}>
      <Notice tone="warn" title={layout.unreachable}>
        <p>{layout.unreachableText}</p>
      </Notice>
    </div>
  ) : null
}
