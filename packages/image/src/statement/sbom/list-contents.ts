import type { ImageSource, ResolvedImage } from '../../oci/chain.ts'
import { type InstalledPackage, isPackageDatabase, listPackages, npmPackage } from '../../diff/packages.ts'
import { readContents } from '../../diff/read-contents.ts'
import type { EncryptionRules } from '../../unpack/open-layer.ts'

/** What an image says that it holds: a claim of its own files, read from verified layers. */
export interface ListedContents {
  readonly packages: readonly InstalledPackage[]
  /** `ID` of os-release: `debian`, `alpine`, `ubuntu`. */
  readonly distribution?: string
}

const LOCK = /(^|\/)package-lock\.json$/
const OS_RELEASE: readonly string[] = ['etc/os-release', 'usr/lib/os-release']
const MAX_LOCKED = 20_000

/**
 * Packages of Debian, Alpine and npm in the image as it is after all layers. Where an application came without its
 * `node_modules` (bundled into one file), its package-lock.json tells what went in.
 *
 * @throws {ImageError} as `unpackImage`.
 */
export async function listContents(
  source: ImageSource,
  image: ResolvedImage,
  options: EncryptionRules & { readonly signal?: AbortSignal } = {},
): Promise<ListedContents> {
  const capture = (path: string) => isPackageDatabase(path) || isLock(path) || OS_RELEASE.includes(path)
  const { captured } = await readContents(source, image, { ...options, capture })
  return describeContents(captured)
}

/** @param captured - Files by path without leading slash. */
export function describeContents(captured: ReadonlyMap<string, Uint8Array>): ListedContents {
  const databases = new Map([...captured].filter(([path]) => isPackageDatabase(path)))
  const found = new Map<string, InstalledPackage>()
  for (const one of [...listPackages(databases), ...lockedPackages(captured)])
    found.set(JSON.stringify([one.system, one.name, one.version, one.architecture]), one)
  const packages = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
  const release = OS_RELEASE.map((path) => captured.get(path)).find((bytes) => bytes !== undefined)
  const distribution = release === undefined ? undefined : distributionOf(new TextDecoder().decode(release))
  return { packages, ...(distribution === undefined ? {} : { distribution }) }
}

function isLock(path: string): boolean {
  return LOCK.test(path) && !path.includes('node_modules/')
}

function lockedPackages(captured: ReadonlyMap<string, Uint8Array>): readonly InstalledPackage[] {
  return [...captured].flatMap(([path, bytes]) => {
    if (!isLock(path)) return []
    const directory = path.slice(0, path.lastIndexOf('/') + 1)
    const isInstalled = [...captured.keys()].some((other) => other.startsWith(`${directory}node_modules/`))
    return isInstalled ? [] : parsePackageLock(new TextDecoder().decode(bytes))
  })
}

/** What an installation for production would have; a lock of an old version, or a damaged one, tells nothing. */
function parsePackageLock(text: string): readonly InstalledPackage[] {
  let lock: unknown
  try {
    lock = JSON.parse(text)
  } catch {
    return []
  }
  const { packages } = (lock ?? {}) as { packages?: unknown }
  if (typeof packages !== 'object' || packages === null) return []
  return Object.entries(packages as Record<string, unknown>)
    .slice(0, MAX_LOCKED)
    .flatMap(([place, entry]) => {
      const { version, dev, link, name } = (entry ?? {}) as Record<string, unknown>
      const at = place.lastIndexOf('node_modules/')
      if (at < 0 || dev === true || link === true) return []
      return npmPackage(name ?? place.slice(at + 'node_modules/'.length), version)
    })
}

function distributionOf(text: string): string | undefined {
  return /^ID="?([a-z0-9._-]{1,40})"?$/m.exec(text)?.[1]
}
