import '@fontsource-variable/figtree/wght.css'
import '@fontsource-variable/source-serif-4/wght.css'
import './ui/base.css'
import { StrictMode, Suspense } from 'react'
import { createRoot } from 'react-dom/client'
import { StartingPage } from './app/StartingPage'
import { TextsProvider } from './i18n/texts'

// A page that was opened before an upgrade asks for files that are gone: loading it again gets the new ones. Once a
// minute at most, so that a file that is missing for another reason does not make a circle; and only where the page can
// be had, since without a connection the browser would show its own in the place of this one.
window.addEventListener('vite:preloadError', () => {
  const last = Number(sessionStorage.getItem('parley.reloaded') ?? 0)
  if (Date.now() - last < 60_000) return
  fetch('/', { method: 'HEAD', cache: 'no-store' }).then(
    ({ ok }) => {
      if (!ok) return
      sessionStorage.setItem('parley.reloaded', String(Date.now()))
      window.location.reload()
    },
    () => undefined, // no connection: the part says that it has failed
  )
})

// What is dropped beside the parts that take it is not opened in the place of the page. Text goes into a field as ever.
for (const type of ['dragover', 'drop'] as const) {
  window.addEventListener(type, (event) => {
    const { dataTransfer, target } = event
    const isForField = target instanceof Element && target.closest('input, textarea') !== null
    if (event.defaultPrevented || !dataTransfer || (isForField && !dataTransfer.types.includes('Files'))) return
    event.preventDefault()
    dataTransfer.dropEffect = 'none'
  })
}

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')
createRoot(root).render(
  <StrictMode>
    <Suspense>
      <TextsProvider>
        <StartingPage />
      </TextsProvider>
    </Suspense>
  </StrictMode>,
)
