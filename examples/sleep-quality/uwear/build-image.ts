import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type BuiltImage, buildImage, launchPolicyLabels } from '@vouchsafe/image'
import { build } from 'esbuild'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const here = (name: string) => fileURLToPath(new URL(name, import.meta.url))

/** Where UWear's own folder is seen: its key, its lists, its night. They are no part of the image. */
export const UWEAR_FOLDER = '/data'
const APP = '/app/uwear.mjs'

/**
 * Builds UWear's image: its program and its policy. Whoever starts it says where USleep is, in REMOTE_ADDRESS, and where
 * UWear's folder is, and can say nothing else.
 *
 * @param config - The configuration's name in that folder.
 */
export async function buildUwearImage(config: string, layout: string): Promise<BuiltImage> {
  const { outputFiles } = await build({
    entryPoints: [here('main.ts')],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    platform: 'node',
    target: 'node24',
    format: 'esm', // the program finds its policy beside itself
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    legalComments: 'none',
    logLevel: 'error',
  })
  const script = outputFiles[0]?.contents
  if (script === undefined) throw new Error('esbuild gave no output')
  const policy = new Uint8Array(readFileSync(here('policy.rego')))
  return buildImage(
    {
      layers: [
        {
          kind: 'files',
          files: [
            { kind: 'file', path: APP.slice(1), bytes: script },
            { kind: 'file', path: 'app/policy.rego', bytes: policy },
          ],
        },
      ],
      config: {
        entrypoint: [APP, `${UWEAR_FOLDER}/${config}`, '--json'],
        labels: launchPolicyLabels({ allowEnvOverride: ['REMOTE_ADDRESS'], allowMountDestinations: [UWEAR_FOLDER] }),
      },
    },
    layout,
  )
}
