import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Files } from './checks.ts'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const WITHIN_MS = 90_000

const found = NAMES.find((name) => spawnSync(name, ['--version']).status === 0)
let told = false

/** Use as `describe.skipIf(missingChromium())`: says once, loudly, that there is no browser. */
export function missingChromium(): boolean {
  if (found === undefined && !told) {
    told = true
    console.error('SKIPPED: no chromium here; with it the browser walks decisions again (apt install chromium)')
  }
  return found === undefined
}

/** Runs a script in headless Chromium on a page of its own, and waits for what it posts. */
export async function runInChromium(script: string, files: Files): Promise<unknown> {
  const directory = mkdtempSync(path.join(tmpdir(), 'vs-browser-'))
  const { promise, resolve, reject } = Promise.withResolvers<unknown>()
  const server = createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? '/')
    if (url === '/outcomes') {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        response.end()
        resolve(JSON.parse(Buffer.concat(chunks).toString()))
      })
    } else if (url === '/') {
      // as strict as a console would be: no code but this script's
      response.setHeader('content-security-policy', "default-src 'none'; script-src 'self'; connect-src 'self'")
      response.end('<!doctype html><script type="module" src="/page.js"></script>')
    } else if (url === '/page.js') {
      response.setHeader('content-type', 'text/javascript')
      response.end(script)
    } else if (url === '/files') response.end(JSON.stringify(Object.keys(files)))
    else response.end(files[url.slice('/files/'.length)] ?? '')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  const chromium = spawn(
    found ?? 'chromium',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--enable-logging=stderr',
      '--no-first-run',
      '--disable-background-networking',
      '--proxy-server=direct://',
      `--user-data-dir=${directory}`,
      `http://127.0.0.1:${port}/`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
  )
  let said = ''
  chromium.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
  chromium.on('exit', (code) => reject(new Error(`chromium ended with ${code} before it answered:\n${said}`)))
  const late = setTimeout(() => reject(new Error(`chromium did not answer in time:\n${said}`)), WITHIN_MS)
  try {
    return await promise
  } finally {
    clearTimeout(late)
    chromium.removeAllListeners('exit')
    const ended = new Promise((done) => chromium.once('exit', done))
    if (chromium.pid !== undefined) process.kill(-chromium.pid, 'SIGKILL') // its helpers too
    await ended
    server.closeAllConnections()
    server.close()
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}
