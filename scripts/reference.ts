import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { distributorRoutes } from '../packages/broker/src/http/distributor-routes.ts'
import { ROUTES } from '../packages/broker/src/http/routes.ts'
import { openApi } from '../packages/broker/src/http/openapi.ts'
import { claimPaths, ERROR_CODES, httpStatus, type ClaimType, type ErrorCode } from '../packages/core/src/index.ts'
import { root } from './run.ts'
import { testedIds } from './tested-ids.ts'

/** Pages of `docs/reference` that are made from the code. `npm run reference` writes them; the docs check compares them. */
export function referencePages(): ReadonlyMap<string, string> {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, meaning]) => `| \`${code}\` | ${httpStatus(code as ErrorCode)} | ${meaning} |`,
  )
  const errors = [
    '# Error codes',
    '',
    'Made from `packages/core/src/base/errors.ts`. Codes are API: added freely, never renamed or reused.',
    '',
    '| code | HTTP | meaning |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
  const instances = { read: () => Promise.reject(new Error('nothing is asked for a reference')) }
  const routes = [...ROUTES, ...distributorRoutes('', instances)]
  return new Map([
    ['docs/reference/attacks.md', idsPage('Attacks', 'Attacks of our security contract', /^[A-L]\d/)],
    ['docs/reference/features.md', idsPage('Features', 'Features, and defects of others (DEF)', /^[A-Z]{2,3}-/)],
    ['docs/reference/errors.md', errors],
    ['docs/reference/claims.md', claimsPage()],
    ['docs/reference/openapi.json', `${JSON.stringify(openApi(routes), null, 1)}\n`],
  ])
}

/** One line a claim: its name in each form of condition, its type and its meaning. */
function claimsPage(): string {
  const rows = claimPaths().map(
    ([name, claim]) =>
      `| \`${name}\` | ${typeText(claim)} | ${'weight' in claim ? claim.weight : ''} | ${claim.meaning} |`,
  )
  return [
    '# Claims',
    '',
    'What verified evidence says, and policies can ask. Made from `packages/core/src/claims/claim-schema.ts`, which is also what',
    'policies are checked against. Plain conditions write a claim as it stands here, Rego as `input.NAME`, CEL as `assertion.NAME`.',
    '',
    'A *fact* was measured or vouched for. A *name* is chosen by whoever runs the machine: it narrows a condition and never carries one.',
    '',
    '| claim | type | weight | meaning |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

function typeText(claim: ClaimType): string {
  switch (claim.kind) {
    case 'text':
      return claim.values === undefined ? 'text' : claim.values.map((v) => `\`${v}\``).join(', ')
    case 'flag':
      return 'true or false'
    case 'integer':
      return 'integer'
    case 'list':
      return 'list of texts'
    case 'map':
      return claim.keys.length === 0
        ? 'texts by name'
        : `texts by \`${claim.keys[0]}\` to \`${claim.keys.at(-1)}\`, all there`
    case 'object':
      return 'object'
  }
}

const MOST_TITLES = 3

/** One line an id: what the tests that carry it say, in their own titles. */
function idsPage(heading: string, what: string, ids: RegExp): string {
  const rows = [...testedIds()]
    .filter(([id]) => ids.test(id))
    .map(([id, tests]) => {
      const titles = [...new Set(tests.map((t) => `[${plain(t.title, id)}](../../${t.file})`))]
      const more = titles.length > MOST_TITLES ? ` and ${titles.length - MOST_TITLES} more` : ''
      return `| ${id} | ${titles.slice(0, MOST_TITLES).join('; ')}${more} |`
    })
  return [
    `# ${heading}`,
    '',
    `${what}, by the tests that hold them. Made from the titles of the tests; \`npm run status\` counts them.`,
    '',
    '| id | what its tests show |',
    '| --- | --- |',
    ...rows,
    '',
  ].join('\n')
}

/** A title as text of a table: without its ids and without what Markdown would take for markup. */
function plain(title: string, id: string): string {
  const text = title
    .replaceAll(/\b(?:[A-L]\d{2}|[A-Z]{2,3}-\d{2,3})\b[,:]?\s*/g, '')
    .replaceAll(/\$\{[^}]*\}|%[sdio]/g, '…')
    .replaceAll(/[[\]|`<>\\]/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
  return text === '' ? id : text
}

/** Names of the pages that are not what the code would make. */
export function stalePages(): readonly string[] {
  return [...referencePages()].filter(([file, text]) => read(file) !== text).map(([file]) => file)
}

function read(file: string): string {
  try {
    return readFileSync(path.join(root, file), 'utf8')
  } catch {
    return '' // not made yet: stale
  }
}

if (process.argv[1]?.endsWith('reference.ts') === true)
  for (const [file, text] of referencePages()) writeFileSync(path.join(root, file), text)
