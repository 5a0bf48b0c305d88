import { webCrypto } from '@vouchsafe/core/web'
import { type Files, runChecks } from './checks.ts'

/** The page of the browser test: fetches the files, runs every check, and posts what came of it. */
const files: Files = Object.fromEntries(
  await Promise.all(
    ((await (await fetch('/files')).json()) as string[]).map(
      async (name) => [name, new Uint8Array(await (await fetch(`/files/${name}`)).arrayBuffer())] as const,
    ),
  ),
)
await fetch('/outcomes', { method: 'POST', body: JSON.stringify(await runChecks(files, webCrypto)) })
