import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { missingVectors, readVector, readVectorText } from '@vouchsafe/testkit'
import { build } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { missingChromium, runInChromium } from '../../broker/src/testing/browser/chromium.ts'

const MOST_GZIPPED_BYTES = 260_000
const POLICIES = [
  '01-claims-allowlist',
  '02-trust-vector',
  '03-resource-release',
  '04-event-log',
  '05-container-enforcer',
  '06-pod-policy',
]

/** A script that answers all cases of the benchmark policies; `files` gives their texts. */
const ANSWERS = `
import { compile, fromJson, parseInput, toJson } from '@vouchsafe/rego'
export async function answers(files) {
  const out = {}
  for (const policy of ${JSON.stringify(POLICIES)}) {
    const at = (file) => files('rego-bench/' + policy + '/' + file)
    const spec = JSON.parse(await at('cases.json'))
    const compiled = compile({ 'policy.rego': await at(spec.policy) })
    for (const c of spec.cases) {
      const { value } = compiled.withData(fromJson(await at(c.data))).eval(c.query, parseInput(await at(c.input)))
      out[policy + ' ' + c.name] = value === undefined ? null : JSON.parse(toJson(value))
    }
  }
  return out
}`

async function bundle(entry: string, format: 'esm' | 'iife'): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: fileURLToPath(new URL('..', import.meta.url)) },
    bundle: true,
    platform: 'browser',
    format,
    globalName: 'page',
    target: 'es2024',
    minify: true,
    write: false,
    logLevel: 'error',
  })
  return outputFiles[0]?.text ?? ''
}

/** The cases, what they read, and what OPA answers. */
function expected(): { readonly files: Record<string, Uint8Array>; readonly values: Record<string, unknown> } {
  const files: Record<string, Uint8Array> = {}
  const values: Record<string, unknown> = {}
  for (const policy of POLICIES) {
    const folder = `rego-bench/${policy}`
    const spec = JSON.parse(readVectorText(`${folder}/cases.json`)) as {
      policy: string
      cases: { name: string; input: string; data: string; expected?: unknown }[]
    }
    const names = ['cases.json', spec.policy, ...spec.cases.flatMap((c) => [c.input, c.data])]
    for (const name of names) files[`${folder}/${name}`] ??= readVector(`${folder}/${name}`)
    for (const c of spec.cases) values[`${policy} ${c.name}`] = c.expected ?? null
  }
  return { files, values }
}

test('the whole engine is one small script with nothing of Node in it', async () => {
  const script = await bundle("export * from '@vouchsafe/rego'", 'esm')
  const gzipped = gzipSync(script).length
  process.stderr.write(`rego in a browser: ${script.length} bytes minified, ${gzipped} gzipped\n`)
  expect(script).not.toMatch(/from\s*"node:|require\(|\bBuffer\./)
  expect(gzipped).toBeLessThan(MOST_GZIPPED_BYTES)
}, 60_000)

describe.skipIf(missingVectors())('the benchmark policies', () => {
  test('are answered as OPA answers them where there is nothing but JavaScript, by generated code', async () => {
    const { files, values } = expected()
    const decoder = new TextDecoder()
    const context = createContext({ TextEncoder, TextDecoder, crypto, URL, atob, btoa })
    runInContext(await bundle(ANSWERS, 'iife'), context)
    const page = context['page'] as { answers: (files: (name: string) => string) => Promise<unknown> }
    const found = await page.answers((name) => decoder.decode(files[name]))
    expect(JSON.parse(JSON.stringify(found))).toEqual(values)
  }, 60_000)

  test.skipIf(missingChromium())(
    'are answered as OPA answers them in Chromium, by closures since its page forbids making code',
    async () => {
      const { files, values } = expected()
      const run = `${ANSWERS}
const files = async (name) => (await fetch('/files/' + encodeURIComponent(name))).text()
const found = await answers(files)
await fetch('/outcomes', { method: 'POST', body: JSON.stringify(found) })`
      expect(await runInChromium(await bundle(run, 'esm'), files)).toEqual(values)
    },
    180_000,
  )
})
