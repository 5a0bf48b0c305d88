import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const pages = globSync(['*.md', 'docs/**/*.md', 'packages/*/README.md', 'examples/**/README.md'], { cwd: root })
  .filter((file) => !file.includes('node_modules'))
  .map((file) => ({ file, text: readFileSync(root + file, 'utf8') }))

const BUS = /\b(?:bus(?:es)?|interposers?|logic analy[sz]ers?|probes?|sniff\w*|LPC|SPI)\b/i
const PROTECTS = /\b(?:protect|prevent|stop|defend|defeat|resist|withstand|immune|secure|safe)\w*/i
const DENIES = /\b(?:not|no|never|cannot|nothing|none|neither|without|open)\b/i

/** Sentences that say of a bus that something there is protected. */
function claimsIn(text: string): readonly string[] {
  return text
    .replaceAll(/\s+/g, ' ')
    .split(/(?<=[.!?:|])\s/)
    .filter((sentence) => BUS.test(sentence) && PROTECTS.test(sentence) && !DENIES.test(sentence))
}

test('L05 SECURITY says that attacks on a TPM’s bus are not stopped', () => {
  const security = pages.find(({ file }) => file === 'SECURITY.md')?.text ?? ''
  const sentences = security.replaceAll(/\s+/g, ' ').split(/(?<=\.)\s/)
  expect(sentences.filter((s) => /\bbus\b/i.test(s) && /\bTPMs?\b/.test(s) && /\bnot stopped\b/.test(s))).toHaveLength(
    1,
  )
})

test('L05 no page claims that they are', () => {
  expect(pages.length).toBeGreaterThan(30)
  for (const { file, text } of pages) expect(claimsIn(text), file).toEqual([])
  expect(claimsIn('Sessions are encrypted. This stops an interposer on the bus of the TPM.')).toHaveLength(1)
})
