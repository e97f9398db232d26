import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// `make web` sets it to the API of `make run`.
const api = process.env.API_URL ?? 'http://127.0.0.1:8000'

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react()],
  build: {
    target: 'baseline-widely-available',
    manifest: true,
    // no file becomes a `data:` address, and no script is put into the page: the policy allows neither
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    port: 5173,
    strictPort: true,
    proxy: Object.fromEntries(
      ['/v1', '/openai', '/schema', '/health', '/config.json'].map((path) => [path, { target: api }]),
    ),
  },
})
