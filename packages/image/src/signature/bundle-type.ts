/** What bundles are called in a registry today. */
export const BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json'

/** True for every spelling in use; that the bundle inside has version 0.3 is checked where it is read. */
export function isBundleType(mediaType: string): boolean {
  return /^application\/vnd\.dev\.sigstore\.bundle(\.v0\.\d\+json|\+json;version=0\.\d)$/.test(mediaType)
}
