import { readFileSync, realpathSync } from 'node:fs'
import { buildImage, type Digest, type LayerFile } from '@vouchsafe/image'

/** How the workload is launched: part of the agreement, measured by the agent. */
export const WORKLOAD_ARGS: readonly string[] = ['/usr/bin/node', '/app/workload.ts']

/**
 * Builds the workload's image: Node as it runs here, with the libraries that it loaded, and one script. The same input
 * gives the same digest, so each clinic can build it and see what a digest stands for.
 *
 * @param edit - What somebody else would run instead.
 */
export async function buildWorkload(layout: string, edit = (script: string) => script): Promise<Digest> {
  const script = edit(readFileSync(new URL('workload.ts', import.meta.url), 'utf8'))
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: readonly string[] }
  const libraries = sharedObjects.filter((file) => file.startsWith('/'))
  const runtime: LayerFile[] = [
    ...['dev', 'proc', 'sys', 'tmp'].map((path): LayerFile => ({ kind: 'directory', path })),
    program('usr/bin/node', process.execPath),
    ...libraries.map((file) => program(file.slice(1), file)),
  ]
  const app: LayerFile = { kind: 'file', path: 'app/workload.ts', bytes: new TextEncoder().encode(script) }
  const { digest } = await buildImage(
    {
      layers: [
        { kind: 'files', files: runtime },
        { kind: 'files', files: [app] },
      ],
      config: { entrypoint: WORKLOAD_ARGS, user: '65534:65534' },
    },
    layout,
  )
  return digest
}

function program(path: string, from: string): LayerFile {
  return { kind: 'copy', path, from: realpathSync(from), mode: 0o755 }
}
