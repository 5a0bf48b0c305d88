import { execFileSync } from 'node:child_process'
import { realpathSync } from 'node:fs'
import { type LayerFile, buildImage } from '@vouchsafe/image'

/** What a workload of the tests is started with. */
export const SHELL_ARGS: readonly string[] = ['/bin/sh', '/app/run']

/** An image with a shell, a few programs and one script: built in milliseconds, run in runc for real. */
export async function buildShellImage(
  layout: string,
  script: string,
  options: { readonly user?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const files = new Map<string, LayerFile>()
  const copy = (path: string, from: string) =>
    files.set(path, { kind: 'copy', path, from: realpathSync(from), mode: 0o755 })
  for (const [path, program] of [
    ['bin/sh', '/bin/dash'],
    ['bin/cat', '/bin/cat'],
    ['bin/sleep', '/bin/sleep'],
    ['bin/mount', '/bin/mount'],
    ['bin/ls', '/bin/ls'],
  ] as const) {
    copy(path, program)
    const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).matchAll(/(\/\S+) \(0x/g)
    for (const [, library = ''] of libraries) copy(library.slice(1), library)
  }
  const bytes = (text: string) => new TextEncoder().encode(text)
  const app: LayerFile[] = [
    { kind: 'file', path: 'app/run', bytes: bytes(script), mode: 0o755 },
    { kind: 'file', path: 'etc/passwd', bytes: bytes('root:x:0:0::/:/bin/sh\nworker:x:1234:2345::/:/bin/sh\n') },
    { kind: 'file', path: 'etc/group', bytes: bytes('root:x:0:\nstaff:x:50:\n') },
  ]
  const { digest } = await buildImage(
    {
      layers: [
        { kind: 'files', files: [...files.values()] },
        { kind: 'files', files: app },
      ],
      config: {
        entrypoint: [...SHELL_ARGS],
        ...(options.user === undefined ? {} : { user: options.user }),
        ...(options.env === undefined ? {} : { env: options.env }),
      },
    },
    layout,
  )
  return digest
}
