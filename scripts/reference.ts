import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { distributorRoutes } from '../packages/broker/src/http/distributor-routes.ts'
import { ROUTES } from '../packages/broker/src/http/routes.ts'
import { openApi } from '../packages/broker/src/http/openapi.ts'
import { claimPaths, ERROR_CODES, httpStatus, type ClaimType, type ErrorCode } from '../packages/core/src/index.ts'
import { AGENT_ERROR_CODES } from '../packages/agent/src/errors.ts'
import { CLI_ERROR_CODES, statusOf } from '../packages/cli/src/exit-status.ts'
import { IMAGE_ERROR_CODES } from '../packages/image/src/errors.ts'
import { REGO_ERROR_CODES } from '../packages/rego/src/errors.ts'
import { SIMULATOR_ERROR_CODES } from '../packages/simulator/src/errors.ts'
import { TPM_ERROR_CODES } from '../packages/tpm/src/codec/errors.ts'
import { root } from './run.ts'
import { testedIds } from './tested-ids.ts'

/** Pages of `docs/reference` that are made from the code. `npm run reference` writes them; the docs check compares them. */
export function referencePages(): ReadonlyMap<string, string> {
  const instances = { read: () => Promise.reject(new Error('nothing is asked for a reference')) }
  const routes = [...ROUTES, ...distributorRoutes('', instances)]
  return new Map([
    ['docs/reference/attacks.md', idsPage('Attacks', 'Attacks of our security contract', /^[A-L]\d/)],
    ['docs/reference/features.md', idsPage('Features', 'Features, and defects of others (DEF)', /^[A-Z]{2,3}-/)],
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/claims.md', claimsPage()],
    ['docs/reference/openapi.json', `${JSON.stringify(openApi(routes), null, 1)}\n`],
  ])
}

/** Every code that a user may meet, by who answers with it. */
function errorsPage(): string {
  const status = (code: string) => `${statusOf(code)}`
  return [
    '# Error codes',
    '',
    'Made from the tables in the code. Codes are API: added freely, never renamed or reused. `exit` is what `vouchsafe` ends with:',
    '1 the answer is no, 2 wrong usage, 3 bad input, 4 unreachable, 5 a bug.',
    '',
    ...codesTable('Evidence, agreements, brokers', ERROR_CODES, {
      HTTP: (code) => `${httpStatus(code as ErrorCode)}`,
      exit: status,
    }),
    ...codesTable('Images', IMAGE_ERROR_CODES, { exit: status }),
    ...codesTable('TPM', TPM_ERROR_CODES, { exit: status }),
    ...codesTable('Command line', CLI_ERROR_CODES, { exit: status }),
    ...codesTable('Agent', AGENT_ERROR_CODES),
    ...codesTable('Simulated guest', SIMULATOR_ERROR_CODES),
    ...codesTable('Rego', REGO_ERROR_CODES),
  ].join('\n')
}

function codesTable(
  heading: string,
  codes: Readonly<Record<string, string>>,
  columns: Readonly<Record<string, (code: string) => string>> = {},
): readonly string[] {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  const names = ['code', ...Object.keys(columns), 'meaning']
  const rows = Object.entries(codes).map(([code, meaning]) =>
    row([`\`${code}\``, ...Object.values(columns).map((of) => of(code)), meaning]),
  )
  return [`## ${heading}`, '', row(names), row(names.map(() => '---')), ...rows, '']
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
