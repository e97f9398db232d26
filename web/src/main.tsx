import '@fontsource-variable/figtree/wght.css'
import '@fontsource-variable/source-serif-4/wght.css'
import './ui/base.css'
import { StrictMode, Suspense } from 'react'
import { createRoot } from 'react-dom/client'
import { StartingPage } from './app/StartingPage'
import { TextsProvider } from './i18n/texts'

// A page that was opened before an upgrade asks for files that are gone: loading it again gets the new ones. Once a
// minute at most, so that a file that is missing for another reason does not make a circle.
window.addEventListener('vite:preloadError', (event) => {
  const last = Number(sessionStorage.getItem('parley.reloaded') ?? 0)
  if (Date.now() - last < 60_000) return
  event.preventDefault()
  sessionStorage.setItem('parley.reloaded', String(Date.now()))
  window.location.reload()
})

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
