import '@fontsource-variable/figtree/wght.css'
import '@fontsource-variable/source-serif-4/wght.css'
import './ui/base.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './app/App'
import { loadConfig } from './lib/config'
import { createServices } from './lib/services'

const root = document.getElementById('root')
if (!root) throw new Error('index.html has no #root')

const services = createServices(await loadConfig())
createRoot(root).render(
  <StrictMode>
    <App services={services} />
  </StrictMode>,
)
