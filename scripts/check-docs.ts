import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { stalePages } from './reference.ts'
import { root } from './run.ts'

const LINK = /\]\(([^)#\s]+)(?:#[^)]*)?\)/g

/** Every relative link of every page leads somewhere, and no page names a machine's own paths. */
export function checkDocs(): boolean {
  const wrong: string[] = []
  for (const file of globSync('{*.md,docs/**/*.md,packages/*/*.md,examples/**/*.md,interop/**/*.md,bench/**/*.md}', {
    cwd: root,
    exclude: (f) => f.includes('node_modules'),
  })) {
    const text = readFileSync(path.join(root, file), 'utf8')
    for (const [, target = ''] of text.matchAll(LINK)) {
      if (/^[a-z]+:/.test(target)) continue
      if (!existsSync(path.join(root, path.dirname(file), target))) wrong.push(`${file}: no ${target}`)
    }
  }
  for (const file of stalePages()) wrong.push(`${file}: not what the code makes; run npm run reference`)
  for (const line of wrong) console.error(line)
  return wrong.length === 0
}
