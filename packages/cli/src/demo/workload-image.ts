import { execFileSync } from 'node:child_process'
import { readFileSync, realpathSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type LayerFile, type LayerSource, buildImage } from '@vouchsafe/image'

/** What runs in the container: Node, the libraries that it needs, and one script. */
export const WORKLOAD_ARGS: readonly string[] = ['/usr/bin/node', '/app/overlap.ts']

const SCRIPT = fileURLToPath(new URL('../../workloads/overlap.ts', import.meta.url))

/**
 * Builds the workload's image into an OCI layout: the same bytes on every machine with the same Node and C library. The
 * digest is what the clinics agree on.
 *
 * @param change - Edits the script: for the drill that runs another image than agreed.
 */
export async function buildWorkloadImage(
  layout: string,
  change: (script: string) => string = (script) => script,
): Promise<string> {
  const script = new TextEncoder().encode(change(readFileSync(SCRIPT, 'utf8')))
  const app: LayerSource = {
    kind: 'files',
    files: [
      { kind: 'directory', path: 'app' },
      { kind: 'file', path: 'app/overlap.ts', bytes: script },
    ],
  }
  const { digest } = await buildImage(
    { layers: [runtimeLayer(), app], config: { entrypoint: [...WORKLOAD_ARGS], user: '65534:65534' } },
    layout,
  )
  return digest
}

/** This process's own Node, and the shared libraries that the loader would give it. */
function runtimeLayer(): LayerSource {
  const node = realpathSync(process.execPath)
  const files = new Map<string, LayerFile>([
    ['usr/bin/node', { kind: 'copy', path: 'usr/bin/node', from: node, mode: 0o755 }],
  ])
  for (const library of librariesOf(node))
    files.set(library, { kind: 'copy', path: library.slice(1), from: realpathSync(library), mode: 0o755 })
  const directories = ['proc', 'dev', 'tmp', 'sys'].map((path): LayerFile => ({ kind: 'directory', path }))
  return { kind: 'files', files: [...directories, ...files.values()] }
}

/** Absolute paths, from `ldd`: `name => /path (address)` or `/path (address)`. */
function librariesOf(program: string): readonly string[] {
  const lines = execFileSync('ldd', [program], { encoding: 'utf8' }).split('\n')
  return lines.flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? [])
}
