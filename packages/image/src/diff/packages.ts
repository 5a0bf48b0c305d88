import type { ImageContents } from './read-contents.ts'

/** A package that an image says it holds. What the database says is a claim of the image, not a finding. */
export interface InstalledPackage {
  readonly system: 'deb' | 'apk' | 'npm'
  readonly name: string
  readonly version: string
  readonly architecture?: string
}

const DPKG = /^var\/lib\/dpkg\/(status|status\.d\/[^/]+)$/
const APK = /^(lib|usr\/lib)\/apk\/db\/installed$/
const NPM = /(^|\/)node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/

/** The files that `listPackages` reads; for `readContents`. */
export function isPackageDatabase(path: string): boolean {
  return (DPKG.test(path) && !path.endsWith('.md5sums')) || APK.test(path) || NPM.test(path)
}

/** Packages of Debian, Alpine and npm, sorted, each once. Damaged records are passed over. */
export function listPackages(captured: ImageContents['captured']): readonly InstalledPackage[] {
  const found = new Map<string, InstalledPackage>()
  for (const [path, bytes] of captured) {
    const text = new TextDecoder().decode(bytes)
    const packages = DPKG.test(path) ? parseDpkgStatus(text) : APK.test(path) ? parseApkInstalled(text) : parseNpm(text)
    for (const one of packages)
      if (one.name.trim() !== '' && one.version.trim() !== '')
        found.set(JSON.stringify([one.system, one.name, one.version, one.architecture]), one)
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one)
}

/** @source deb822(5); dpkg's status file: only what is installed counts, not what was removed and left its settings. */
export function parseDpkgStatus(text: string): readonly InstalledPackage[] {
  return text.split(/\n\n+/).flatMap((stanza) => {
    const fields = new Map(
      [...stanza.matchAll(/^([A-Za-z-]+):[ \t]*(.*)$/gm)].map(([, name = '', value = '']) => [
        name.toLowerCase(),
        value.trim(),
      ]),
    )
    const [name, version, architecture, status] = ['package', 'version', 'architecture', 'status'].map((field) =>
      fields.get(field),
    )
    // distroless images write stanzas without a status
    if (name === undefined || version === undefined || (status !== undefined && !status.endsWith(' installed')))
      return []
    return [{ system: 'deb', name, version, ...(architecture === undefined ? {} : { architecture }) } as const]
  })
}

/** @source apk-tools: the installed database, one-letter fields, records parted by empty lines */
export function parseApkInstalled(text: string): readonly InstalledPackage[] {
  return text.split(/\n\n+/).flatMap((record) => {
    const field = (letter: string) => new RegExp(`^${letter}:(.*)$`, 'm').exec(record)?.[1]
    const [name, version, architecture] = [field('P'), field('V'), field('A')]
    if (name === undefined || version === undefined) return []
    return [{ system: 'apk', name, version, ...(architecture === undefined ? {} : { architecture }) } as const]
  })
}

/** Of `package.json`, or of an entry in a lock: none by a name or version that npm would not take, as fixtures have them. */
export function npmPackage(name: unknown, version: unknown): readonly InstalledPackage[] {
  if (typeof name !== 'string' || typeof version !== 'string' || version.trim() === '') return []
  return NPM_NAME.test(name) && name.isWellFormed() && version.isWellFormed() ? [{ system: 'npm', name, version }] : []
}

const NPM_NAME = /^(?:@[^\s/@]+\/)?[^\s/@]+$/

function parseNpm(text: string): readonly InstalledPackage[] {
  try {
    const { name, version } = (JSON.parse(text) ?? {}) as { name?: unknown; version?: unknown }
    return npmPackage(name, version)
  } catch {
    return [] // an image may hold any file of this name, a broken fixture among them
  }
}
