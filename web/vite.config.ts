import { existsSync } from 'node:fs'
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
const RULE = `\n${'-'.repeat(80)}\n\n`

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

/** Writes the licences of the packages that are in the build, as they ask for, to third-party-licences.txt. */
function licences(): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    async generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
      const folders = modules.flatMap(
        (id) => id.match(/^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/)?.[0].replace('\0', '') ?? [],
      )
      const notices = [...new Set(folders)].filter(existsSync).map(async (folder) => {
        const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
        const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|notice|copying)\b/i.test(file)).sort()
        const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')))
        const text = texts.map((one) => one.trim()).join('\n\n') || 'The package has no text of its licence.'
        return `${name} ${version}: ${license}\n\n${text}\n`
      })
      const source = `The packages in this build, with their licences.\n\n${(await Promise.all(notices)).sort().join(RULE)}`
      this.emitFile({ type: 'asset', fileName: 'third-party-licences.txt', source })
    },
  }
}

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), licences(), compressed()],
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
