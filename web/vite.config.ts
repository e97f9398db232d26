import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

// `make web` sets it to the API of `make run`.
const api = process.env.API_URL ?? 'http://127.0.0.1:8000'
const TEXT = /\.(css|html|js|json|svg|txt)$/
// below this, an encoding saves nothing
const SMALLEST = 512

/** Writes each text file of the build a second and third time, compressed, so that no server compresses at run time. */
function compressed(): Plugin {
  let folder = ''
  return {
    name: 'compressed',
    apply: 'build',
    configResolved(config) {
      folder = join(config.root, config.build.outDir)
    },
    async closeBundle() {
      const names = await readdir(folder, { recursive: true })
      const texts = names.filter((name) => TEXT.test(name) && !name.startsWith('.'))
      await Promise.all(
        texts.map(async (name) => {
          const path = join(folder, name)
          const content = await readFile(path)
          if (content.length < SMALLEST) return
          const size = { [constants.BROTLI_PARAM_SIZE_HINT]: content.length }
          await writeFile(`${path}.br`, await promisify(brotliCompress)(content, { params: size }))
          await writeFile(`${path}.gz`, await promisify(gzip)(content, { level: 9 }))
        }),
      )
    },
  }
}

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), compressed()],
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
