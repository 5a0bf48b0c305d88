import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('peer', import.meta.url))
const PROGRAM = 'github.com/containers/skopeo/cmd/skopeo'
const TAGS = 'containers_image_openpgp exclude_graphdriver_btrfs exclude_graphdriver_devicemapper'

/**
 * skopeo 1.13.3, built from the Go module proxy under pinned sums: Debian's knows no key providers. `VOUCHSAFE_SKOPEO`
 * names one that was built before.
 *
 * Without cgo, so its PKCS#11 is left out; of PGP it has the Go implementation, which knows RSA.
 */
export class Skopeo {
  readonly #program: string

  constructor(folder: string) {
    this.#program = process.env['VOUCHSAFE_SKOPEO'] ?? path.join(folder, 'skopeo')
    if (existsSync(this.#program)) return
    const args = ['build', '-mod=mod', '-p=1', '-buildvcs=false', '-tags', TAGS, '-o', this.#program, PROGRAM]
    // -mod=mod completes go.mod while it builds: not in the checkout
    execFileSync('cp', ['-r', `${source}/.`, folder])
    execFileSync('go', args, {
      cwd: folder,
      env: { ...process.env, CGO_ENABLED: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  }

  /** Copies between layouts, encrypting or decrypting. The event loop runs on: providers are served from it. */
  copy(from: string, to: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
    return this.copyCompressing(from, to, ['--dest-oci-accept-uncompressed-layers', ...args], env)
  }

  /** The same, as skopeo does it unless told: layers that are not compressed become so on the way. */
  copyCompressing(
    from: string,
    to: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    return this.copyBetween(`oci:${from}:v1`, `oci:${to}:v1`, args, env)
  }

  /** Between places of any kind, in skopeo's words. */
  copyBetween(
    from: string,
    to: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const all = ['--insecure-policy', 'copy', ...args, from, to]
    return new Promise((resolve, reject) => {
      execFile(this.#program, all, { env: { ...process.env, ...env }, timeout: 300_000 }, (error, _, stderr) =>
        error === null ? resolve() : reject(new Error(`skopeo ${args.join(' ')}: ${stderr}`)),
      )
    })
  }

  version(): string {
    return execFileSync(this.#program, ['--version'], { encoding: 'utf8' }).trim()
  }
}
