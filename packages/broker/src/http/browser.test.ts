import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { utf8 } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { missingVectors, readVector } from '@vouchsafe/testkit'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CHECKS, type Files, RECORD, RECORD_KEY, runChecks } from '../testing/browser/checks.ts'
import { missingChromium, runInChromium } from '../testing/browser/chromium.ts'
import { type TwoClinics, startTwoClinics } from '../testing/two-clinics.ts'

const MOST_GZIPPED_BYTES = 700_000

describe.skipIf(missingVectors() || missingChromium())('a browser', () => {
  let world: TwoClinics
  beforeAll(async () => {
    world = await startTwoClinics()
  })
  afterAll(() => world?.stop())

  test('verifies recorded hardware evidence, and walks a broker’s decision again, to the same outcomes as Node', async () => {
    const { id } = await world.guest.attest(world.a.guest, world.machine, world.agreement)
    const { record } = await world.a.owner.decision(id)
    const files: Record<string, Uint8Array> = {
      [RECORD]: utf8(JSON.stringify(record)),
      [RECORD_KEY]: utf8(world.a.pin.decisions),
    }
    for (const [, names] of Object.values(CHECKS)) for (const name of names) files[name] ??= readVector(name)
    const expected = JSON.parse(JSON.stringify(await runChecks(files satisfies Files, nodeCrypto))) as Record<
      string,
      unknown
    >
    for (const name of Object.keys(CHECKS)) {
      expect(expected[name], name).toHaveProperty('accepted')
      expect(expected[`${name}, byte 100 changed`], name).not.toHaveProperty('crashed')
    }
    expect(expected[RECORD]).toMatchObject({
      accepted: { signed: true, reproduced: true, verdict: { kind: 'accept' } },
    })

    const script = await bundle()
    const gzipped = gzipSync(script).length
    process.stderr.write(`core in a browser: ${script.length} bytes minified, ${gzipped} gzipped\n`)
    expect(gzipped).toBeLessThan(MOST_GZIPPED_BYTES)
    expect(await runInChromium(script, files)).toEqual(expected)
  }, 180_000)
})

/** The whole of core, the WebCrypto port and the checks, as one script with nothing of Node in it. */
async function bundle(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../testing/browser/page.ts', import.meta.url))],
    bundle: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2024',
    minify: true,
    keepNames: true,
    write: false,
    logLevel: 'error',
  })
  return outputFiles[0]?.text ?? ''
}
