export { IMAGE_ERROR_CODES, ImageError, type ImageErrorCode } from './errors.ts'
export { type Content, type Digest, digestOf, parseDigest, verifiedWhileRead } from './oci/digest.ts'
export type { Descriptor } from './oci/descriptor.ts'
export { type Compression, type LayerForm, layerForm, MEDIA } from './oci/media-types.ts'
export { type Platform, platformText, samePlatform } from './oci/platform.ts'
export { type ImageIndex, type ImageManifest, parseManifest, parseManifestOrIndex } from './oci/manifest.ts'
export { type ExecutionConfig, type ImageConfig, parseImageConfig } from './oci/config.ts'
export { type HistoryStep, parseHistory } from './oci/history.ts'
export {
  type BlobUse,
  type ImageSource,
  type ResolvedImage,
  type ResolvedLayer,
  resolveImage,
  resolveManifest,
} from './oci/chain.ts'
export { ImageLayout } from './layout/layout.ts'
export { LayoutWriter } from './layout/write-layout.ts'
export { DockerArchive, type SavedImage } from './archive/docker-archive.ts'
export { assertAbsent, writeArchive } from './archive/write-archive.ts'
export type { BuildConfig } from './build/build-config.ts'
export type { LayerFile, LayerSource } from './build/layer-source.ts'
export { rootCommits } from './source/git-objects.ts'
export { type CheckedOut, checkOut } from './source/check-out.ts'
export { type BuildRequest, type BuiltImage, buildImage } from './build/build-image.ts'
export { launchPolicyLabels, type LaunchPolicyLabels, loadsCode } from './build/launch-labels.ts'
export { type TarEntry, TarReader, type TarVisitor } from './tar/read-tar.ts'
export { DEFAULT_UNPACK_LIMITS, type UnpackLimits } from './unpack/limits.ts'
export { FAITHFUL, HARDENED, type UnpackProfile } from './unpack/profile.ts'
export { unpackImage, type UnpackOptions, type UnpackReport, unpackResolved } from './unpack/unpack-image.ts'
export { type ImageReference, parseReference, referenceText, type RepositoryName } from './oci/reference.ts'
export { type PinnedReference, RegistryClient, type RegistryClientOptions } from './registry/client.ts'
export type { LeastRate } from './registry/least-rate.ts'
export { proxyFromEnvironment, type ProxySettings } from './registry/proxy-settings.ts'
export type { Credentials, Mirror, RegistryHost } from './registry/registry-config.ts'
export type { Endpoint } from './registry/endpoint.ts'
export { type PassedOver, RepositoryReader } from './registry/repository.ts'
export { listReferrers, putManifest } from './registry/referrers.ts'
export { listTags } from './registry/tags.ts'
export { uploadBlob, type UploadOptions, type UploadSource } from './registry/upload.ts'
export { parseAuthFile } from './registry/auth-file.ts'
export { parseRegistries } from './registry/registries-file.ts'
export { copyToLayout, pushImage, type TransferOptions } from './registry/transfer.ts'
export type { EncryptionRules, LayerDecryptor, OpenedLayer } from './unpack/open-layer.ts'
export {
  acceptImage,
  type PullAnswer,
  type PullPolicy,
  type PullProgress,
  type PullReport,
  type PullRequest,
  type PullSubject,
  pullToDirectory,
  pullToStore,
} from './pull/pull-image.ts'
export { SnapshotStore } from './pull/store.ts'
export type { StoredImage } from './pull/stored-image.ts'
export { checkRebuild, type LayerDifference, type RebuildAnswer } from './diff/check-rebuild.ts'
export { type Change, diffImages, type FileChange, type ImageDiff, type ImageView } from './diff/diff-images.ts'
export { type InstalledPackage, isPackageDatabase, listPackages } from './diff/packages.ts'
export { type ImageContents, readContents } from './diff/read-contents.ts'
export type { FileFact } from './diff/recording-disk.ts'
export * from './encrypt/index.ts'
