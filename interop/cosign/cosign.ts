import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** Speaks both schemes: bundles by default, tags when told. Built once; Go keeps what it compiled. */
const COSIGN = 'github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3'
const PASSWORD = 'interop'

/** cosign, built from the Go module proxy, with a home and keys of its own. */
export class Cosign {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'cosign-'))

  readonly #program: string

  /** `VOUCHSAFE_COSIGN` names one that was built before. */
  constructor() {
    mkdirSync(this.file('home'))
    const built = process.env['VOUCHSAFE_COSIGN']
    this.#program = built ?? this.file('cosign')
    if (built !== undefined) return
    const env = { ...process.env, GOBIN: this.directory, GOFLAGS: '-p=1 -buildvcs=false' }
    execFileSync('go', ['install', COSIGN], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  }

  file(name: string): string {
    return path.join(this.directory, name)
  }

  /** Throws when it fails, with what it said. */
  run(...args: readonly string[]): string {
    return execFileSync(this.#program, [...args], {
      cwd: this.directory,
      env: {
        ...process.env,
        HOME: this.file('home'),
        TUF_ROOT: this.file('home'),
        COSIGN_PASSWORD: PASSWORD,
        // nothing of it may reach for the public log
        HTTPS_PROXY: 'http://127.0.0.1:9',
      },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
    })
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

export const passphrase = PASSWORD
