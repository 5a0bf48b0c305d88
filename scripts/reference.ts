import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ROUTES } from '../packages/broker/src/http/routes.ts'
import { openApi } from '../packages/broker/src/http/openapi.ts'
import { ERROR_CODES, httpStatus, type ErrorCode } from '../packages/core/src/index.ts'
import { root } from './run.ts'

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
  return new Map([
    ['docs/reference/errors.md', errors],
    ['docs/reference/openapi.json', `${JSON.stringify(openApi(ROUTES), null, 1)}\n`],
  ])
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
