import { fileURLToPath } from 'node:url'
import { type BuiltImage, buildImage } from '@vouchsafe/image'
import { build } from 'esbuild'
import type { Settings } from './serve.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
const APP = '/app/usleep.cjs'
const SETTINGS = '/app/settings.json'

/**
 * Builds USleep’s image: one script with all that it imports, and its settings. The digest depends on these alone, so
 * whoever has the source can rebuild it and see what a digest stands for.
 */
export async function buildUsleepImage(settings: Settings, layout: string): Promise<BuiltImage> {
  const { outputFiles } = await build({
    entryPoints: [MAIN],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    legalComments: 'none',
    logLevel: 'error',
  })
  const script = outputFiles[0]?.contents
  if (script === undefined) throw new Error('esbuild gave no output')
  return buildImage(
    {
      layers: [
        {
          kind: 'files',
          files: [
            { kind: 'file', path: APP.slice(1), bytes: script },
            { kind: 'file', path: SETTINGS.slice(1), bytes: new TextEncoder().encode(JSON.stringify(settings)) },
          ],
        },
      ],
      config: { entrypoint: [APP, SETTINGS], exposedPorts: ['8081/tcp'] },
    },
    layout,
  )
}
