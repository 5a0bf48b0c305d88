import { existsSync } from 'node:fs'
import { checkImports } from './check-imports.ts'
import { checkDocs } from './check-docs.ts'
import { bin, run } from './run.ts'

/** Every static check by name. `npm run check -- types lint` runs some, without names all. */
const CHECKS: Readonly<Record<string, () => Promise<boolean>>> = {
  types: async () => {
    const projects = ['tsconfig.json', ...['core', 'rego', 'tpm'].map((p) => `packages/${p}/tsconfig.json`)].filter(
      (p) => existsSync(p),
    )
    for (const project of projects) if ((await run(bin('tsc'), ['-p', project])) !== 0) return false
    return true
  },
  lint: async () => (await run(bin('oxlint'), ['--type-aware', '--deny-warnings', '--quiet'])) === 0,
  format: async () => (await run(bin('prettier'), ['--check', '--log-level', 'warn', '.'])) === 0,
  imports: async () => checkImports(),
  docs: async () => checkDocs(),
}

const names = process.argv.slice(2)
for (const name of names.length > 0 ? names : Object.keys(CHECKS)) {
  const check = CHECKS[name]
  if (check === undefined) {
    console.error(`no check ${name}; there are ${Object.keys(CHECKS).join(', ')}`)
    process.exit(2)
  }
  const ok = await check()
  console.log(`check ${name}: ${ok ? 'ok' : 'FAILED'}`)
  if (!ok) process.exitCode = 1
}
