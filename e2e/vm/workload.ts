import { type Digest, type LayerFile, buildImage } from '@vouchsafe/image'

/** Descriptor 3 is the manifest, 4 the first input, and the result follows. */
export const WORKLOAD_ARGS: readonly string[] = [
  '/bin/sh',
  '-c',
  'n=$(wc -l <&4); printf \'{"count":%d}\' $((n - 1)) >&5',
]

/** A shell that counts the lines of a table. The same programs give the same digest. */
export async function buildWorkload(layout: string): Promise<Digest> {
  const busybox = (path: string): LayerFile => ({ kind: 'copy', path, from: '/bin/busybox', mode: 0o755 })
  const directory = (path: string): LayerFile => ({ kind: 'directory', path })
  const files = [...['dev', 'proc', 'sys', 'tmp'].map(directory), ...['bin/sh', 'bin/wc'].map(busybox)]
  const { digest } = await buildImage(
    { layers: [{ kind: 'files', files }], config: { entrypoint: [...WORKLOAD_ARGS], user: '65534:65534' } },
    layout,
  )
  return digest
}
