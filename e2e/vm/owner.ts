import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { AttestInputs, ReleaseInputs, TpmEvidence } from '@vouchsafe/core'

/** The host as the guest sees it. @source QEMU, User Documentation: Network emulation: user mode network stack */
const HOST = '10.0.2.2'
const VOUCHSAFE = fileURLToPath(new URL('../../packages/cli/bin/vouchsafe.ts', import.meta.url))
const START_MS = 120_000

type Members = Readonly<Record<string, unknown>>

/** One owner with a broker, as commands in one directory: what a reader of the guide types. */
export class Owner {
  readonly directory: string
  readonly #broker: ChildProcess
  readonly #key: string

  private constructor(directory: string, key: string, broker: ChildProcess) {
    this.directory = directory
    this.#key = key
    this.#broker = broker
  }

  /**
   * Makes a key, a broker that trusts one maker of TPMs, and a secret; and encrypts a table under the secret.
   *
   * @param manufacturer - DER, a simulator's: whatever its TPMs attest is class `simulated`.
   */
  static async start(directory: string, manufacturer: Uint8Array, table: string): Promise<Owner> {
    const write = (name: string, content: string | Uint8Array) => writeFileSync(path.join(directory, name), content)
    write('manufacturer.der', manufacturer)
    write('patients.csv', table)
    const { key } = await answer(directory, 'owner', 'key', 'clinic-a.pem')
    const port = await freePort()
    const tenant = ['--tenant', 'clinic-a', '--owner-key', String(key), '--anchor', 'simulated=manufacturer.der']
    const places = ['--listen', `127.0.0.1:${port}`, '--url', `https://${HOST}:${port}`]
    await answer(directory, 'broker', 'init', '--dir', 'broker', '--profile', 'simulated', ...tenant, ...places)
    const broker = await serve(directory)
    const owner = new Owner(directory, String(key), broker)
    // the guest reaches the broker under an address that is nobody's out here; the identity in the pin is the same
    const pin = owner.#json('broker/clinic-a.pin.json')
    write('here.pin.json', JSON.stringify({ ...pin, url: `https://127.0.0.1:${port}` }))
    await owner.run('owner', 'init', '--key', 'clinic-a.pem', '--broker', 'here.pin.json')
    await owner.run('data', 'key', 'patients.key')
    await owner.run('data', 'encrypt', 'patients.csv', '--key', 'patients.key', '--out', 'patients.age')
    await owner.run('resource', 'put', 'patients/key', '--file', 'patients.key')
    write('results.jwk', JSON.stringify((await owner.run('result', 'key', 'results.pem'))['key']))
    return owner
  }

  /** Proposes and approves an agreement over one image, with these register values pinned. */
  async agree(name: string, image: string, args: readonly string[], registers: Members): Promise<void> {
    const request = {
      name,
      purpose: 'count patients',
      owners: [{ id: 'clinic-a', key: this.#key, pin: 'broker/clinic-a.pin.json' }],
      resources: ['clinic-a/patients/key'],
      image,
      args,
      class: 'simulated',
      registers,
      recipients: [{ id: 'clinic-a', key: 'results.jwk' }],
    }
    writeFileSync(path.join(this.directory, `${name}.request.json`), JSON.stringify(request))
    await this.run('agreement', 'new', `${name}.request.json`, '--out', `${name}.json`)
    await this.run('agreement', 'propose', `${name}.json`)
    await this.run('agreement', 'approve', `${name}.json`, '--days', '1')
  }

  /** The evidence of a recorded attestation or release, once the record was computed again and found genuine. */
  async evidenceOf(decision: string): Promise<TpmEvidence> {
    const { reproduced, signed } = await this.run('why', decision, '--save', 'record.json')
    if (reproduced !== true || signed !== true) throw new Error(`${decision} does not replay`)
    const payload = Buffer.from(String(this.#json('record.json')['payload']), 'base64').toString('utf8')
    const { inputs } = JSON.parse(payload) as { inputs: Partial<AttestInputs & ReleaseInputs> }
    const evidence = inputs.evidence ?? inputs.attest?.evidence
    if (evidence?.format !== 'tpm') throw new Error(`${decision} records no evidence of a TPM`)
    return evidence
  }

  /** Runs `vouchsafe … --json` in this owner's directory. @returns Its answer. */
  run(...args: readonly string[]): Promise<Members> {
    return answer(this.directory, ...args)
  }

  /** The same for people. */
  say(...args: readonly string[]): Promise<string> {
    return vouchsafe(this.directory, args)
  }

  stop(): void {
    this.#broker.kill('SIGTERM')
  }

  #json(file: string): Members {
    return JSON.parse(readFileSync(path.join(this.directory, file), 'utf8')) as Members
  }
}

async function answer(directory: string, ...args: readonly string[]): Promise<Members> {
  return JSON.parse(await vouchsafe(directory, [...args, '--json'])) as Members
}

function vouchsafe(directory: string, args: readonly string[]): Promise<string> {
  // some twenty commands of the same code: it is compiled once
  const env = { ...process.env, NODE_COMPILE_CACHE: path.join(directory, 'code') }
  return new Promise((resolve, reject) =>
    execFile(process.execPath, [VOUCHSAFE, ...args], { cwd: directory, env }, (error, stdout, stderr) =>
      error === null
        ? resolve(stdout)
        : reject(new Error(`vouchsafe ${args.join(' ')}: ${stdout}${stderr}`, { cause: error })),
    ),
  )
}

/** Starts the broker as a process of its own, and waits until it answers. */
function serve(directory: string): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const args = ['--pdeathsig', 'TERM', process.execPath, VOUCHSAFE, 'broker', 'serve', 'broker/broker.json']
    const child = spawn('setpriv', args, { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'] })
    const late = setTimeout(() => reject(new Error('the broker did not start')), START_MS)
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.includes('broker.ready')) return
      clearTimeout(late)
      resolve(child)
    })
  })
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
