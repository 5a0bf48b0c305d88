/** Media types as they are written in manifests. */
export const MEDIA = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  empty: 'application/vnd.oci.empty.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const

export const INDEX_TYPES: ReadonlySet<string> = new Set([MEDIA.index, MEDIA.dockerIndex])
export const MANIFEST_TYPES: ReadonlySet<string> = new Set([MEDIA.manifest, MEDIA.dockerManifest])
export const CONFIG_TYPES: ReadonlySet<string> = new Set([MEDIA.config, MEDIA.dockerConfig])

export type Compression = 'none' | 'gzip' | 'zstd'

/** How a layer blob is stored. `encrypted` wraps the compressed form. */
export interface LayerForm {
  readonly compression: Compression
  readonly encrypted: boolean
}

const LAYERS: ReadonlyMap<string, Compression> = new Map([
  ['application/vnd.oci.image.layer.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar', 'none'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', 'gzip'],
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', 'zstd'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', 'none'],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'gzip'],
])

const OF_DOCKER: ReadonlyMap<string, string> = new Map([
  ['application/vnd.docker.image.rootfs.diff.tar', MEDIA.layer],
  ['application/vnd.docker.image.rootfs.diff.tar.gzip', MEDIA.layerGzip],
  ['application/vnd.docker.image.rootfs.diff.tar.zstd', MEDIA.layerZstd],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar', 'application/vnd.oci.image.layer.nondistributable.v1.tar'],
  [
    'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  ],
])

/** What the same layer is called in an OCI manifest, where many tools know no other name. */
export function ociLayerType(mediaType: string): string {
  return OF_DOCKER.get(mediaType) ?? mediaType
}

const ENCRYPTED = '+encrypted'

/** Nothing is guessed from content: an unknown media type has no form. */
export function layerForm(mediaType: string): LayerForm | undefined {
  const encrypted = mediaType.endsWith(ENCRYPTED)
  const compression = LAYERS.get(encrypted ? mediaType.slice(0, -ENCRYPTED.length) : mediaType)
  return compression === undefined ? undefined : { compression, encrypted }
}
