import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { encodeTpmPublic, spkiOfTpmPublic, SwtpmControl, Tpm } from '@vouchsafe/tpm'
import type { TpmPublic } from '@vouchsafe/tpm'
import { startSwtpm } from '../../packages/tpm/src/testing/swtpm.ts'
import type { RunningSwtpm } from '../../packages/tpm/src/testing/swtpm.ts'

const run = promisify(execFile)
const vouchsafe = fileURLToPath(new URL('../../packages/cli/bin/vouchsafe.ts', import.meta.url))

/** One thing that we do and tpm2-tools understand, or the other way round. Throws when they do not. */
export interface Pair {
  readonly name: string
  readonly run: (bench: Workbench) => Promise<void>
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value)
export const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')

/**
 * One software TPM that both sides use in turn, and a folder for what they hand each other. swtpm serves one connection
 * at a time, so ours is open only inside `ours`.
 */
export class Workbench {
  readonly #swtpm: RunningSwtpm

  private constructor(swtpm: RunningSwtpm) {
    this.#swtpm = swtpm
  }

  static async start(): Promise<Workbench> {
    return new Workbench(await startSwtpm({ manufactured: true }))
  }

  stop(): Promise<void> {
    return this.#swtpm.stop()
  }

  /** The TPM's socket, for tools that take a path. */
  get socket(): string {
    return this.#swtpm.address.replace('swtpm:path=', '')
  }

  /** Our side. */
  async ours<T>(use: (tpm: Tpm) => Promise<T>): Promise<T> {
    const tpm = await Tpm.open(this.#swtpm.address)
    try {
      return await use(tpm)
    } finally {
      await tpm.close()
    }
  }

  /** Their side: runs `tpm2_NAME` in the folder and gives its standard output. Throws when it fails. */
  async tool(name: string, ...args: readonly string[]): Promise<string> {
    const { stdout } = await this.#exec(name, args)
    // without a resource manager the tools leave what they load
    await this.#exec('flushcontext', ['-t'])
    return stdout
  }

  /** The error output of a tool that must fail. */
  async toolFails(name: string, ...args: readonly string[]): Promise<string> {
    const failure = await this.tool(name, ...args).then(
      () => undefined,
      (error: unknown) => (error as { stderr: string }).stderr,
    )
    await this.#exec('flushcontext', ['-t'])
    if (failure === undefined) throw new Error(`tpm2_${name} ${args.join(' ')} must fail and does not`)
    return failure
  }

  /** Our command line, run in the folder as its users do. Gives its standard output; throws when it does not answer yes. */
  async vouchsafe(...args: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
    const env = { ...process.env, VOUCHSAFE_TPM: this.#swtpm.address, NO_COLOR: '1' }
    // generous: a busy machine takes its time to start a runtime
    const options = { cwd: this.#swtpm.directory, env, timeout: 300_000, encoding: 'buffer' } as const
    return new Uint8Array((await run(process.execPath, [vouchsafe, ...args], options)).stdout)
  }

  /** The error that our command line must end with. */
  async vouchsafeFails(...args: readonly string[]): Promise<string> {
    const failure = await this.vouchsafe(...args).then(
      () => undefined,
      (error: unknown) => String((error as { stderr: Uint8Array }).stderr),
    )
    if (failure === undefined) throw new Error(`vouchsafe ${args.join(' ')} must fail and does not`)
    return failure
  }

  /** Power off and on: registers start anew. */
  async reset(): Promise<void> {
    // a TPM that loses its power without this counts it as a wrong password
    await this.ours((tpm) => tpm.shutdown())
    const control = await SwtpmControl.open({ path: this.#swtpm.controlPath })
    try {
      await control.reset()
    } finally {
      await control.close()
    }
    await this.ours((tpm) => tpm.startup())
  }

  /** Removes what the tools have left behind: objects, loaded and saved sessions. */
  async flush(): Promise<void> {
    for (const kind of ['-t', '-l', '-s']) await this.#exec('flushcontext', [kind])
  }

  file(name: string): string {
    return path.join(this.#swtpm.directory, name)
  }

  write(name: string, bytes: Uint8Array | string): void {
    writeFileSync(this.file(name), bytes)
  }

  read(name: string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(readFileSync(this.file(name)))
  }

  /** A TPM2B as a file, as the tools keep public and private parts. */
  writeSized(name: string, bytes: Uint8Array): void {
    this.write(name, Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 0xff), bytes]))
  }

  /** The contents of a TPM2B file. */
  readSized(name: string): Uint8Array<ArrayBuffer> {
    const raw = this.read(name)
    const size = ((raw[0] ?? 0) << 8) | (raw[1] ?? 0)
    if (raw.length !== size + 2) throw new Error(`${name}: ${raw.length} bytes are no TPM2B of ${size}`)
    return raw.slice(2)
  }

  writePublic(name: string, area: TpmPublic): void {
    this.writeSized(name, encodeTpmPublic(area))
  }

  writePem(name: string, area: TpmPublic): void {
    const base64 = Buffer.from(spkiOfTpmPublic(area)).toString('base64')
    this.write(name, `-----BEGIN PUBLIC KEY-----\n${base64.replace(/.{64}/g, '$&\n')}\n-----END PUBLIC KEY-----\n`)
  }

  #exec(name: string, args: readonly string[]) {
    const env = { ...process.env, TPM2TOOLS_TCTI: this.#swtpm.address, TSS2_LOG: 'all+NONE' }
    return run(`tpm2_${name}`, [...args], { cwd: this.#swtpm.directory, env, timeout: 60_000 })
  }
}
