import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Workbench } from '../tpm2-tools/workbench.ts'

/** The last version whose command line the Go proxy serves as an installable package. */
const GOTPM = 'github.com/google/go-tpm-tools/cmd/gotpm@v0.3.1'
const peerSource = fileURLToPath(new URL('peer', import.meta.url))

/** go-tpm-tools, built from the Go module proxy. */
export class GoPrograms {
  readonly #folder: string

  constructor() {
    this.#folder = mkdtempSync(path.join(tmpdir(), 'gotpm-'))
    const env = { ...process.env, GOBIN: this.#folder, GOFLAGS: '-buildvcs=false' }
    execFileSync('go', ['install', GOTPM], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    execFileSync('go', ['build', '-o', path.join(this.#folder, 'peer'), '.'], { cwd: peerSource, env, stdio: 'pipe' })
  }

  /** The stock command line on the software TPM of `bench`. Throws when it fails. */
  gotpm(bench: Workbench, args: readonly string[], input: Uint8Array = new Uint8Array()): Uint8Array<ArrayBuffer> {
    return this.#run('gotpm', ['--tpm-path', bench.socket, ...args], input)
  }

  /** The current library, driven by `peer/main.go`, whose head lists the commands. */
  peer(bench: Workbench, args: readonly string[], input: Uint8Array = new Uint8Array()): Uint8Array<ArrayBuffer> {
    return this.#run('peer', [bench.socket, ...args], input)
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #run(program: string, args: readonly string[], input: Uint8Array): Uint8Array<ArrayBuffer> {
    const file = path.join(this.#folder, program)
    return new Uint8Array(execFileSync(file, [...args], { input, stdio: 'pipe', timeout: 60_000 }))
  }
}
