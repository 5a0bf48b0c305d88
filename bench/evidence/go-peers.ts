import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Inputs } from './inputs.ts'
import type { Contestant, Slice } from './measure.ts'

export const GO_PEERS = {
  sev: 'go-sev-guest 0.15.0, SNP',
  tdx: 'go-tdx-guest 0.3.1, TDX, collateral each time',
} as const

/** Google's libraries, in a process of their own that runs when it is told to. Needs a Go toolchain. */
export function goPeers({ at, snp, tdx }: Inputs): {
  readonly list: readonly Contestant[]
  readonly close: () => void
} {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'vouchsafe-bench-'))
  const close = () => rmSync(folder, { recursive: true, force: true })
  const binary = path.join(folder, 'peer')
  try {
    const cwd = path.resolve(import.meta.dirname, '../peers/evidence-go')
    execFileSync('go', ['build', '-o', binary, '.'], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  } catch (error) {
    close()
    throw new Error(`Go peers do not build: ${(error as Error).message}`, { cause: error })
  }
  const file = path.join(folder, 'inputs.json')
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64')
  const { collateral: c } = tdx
  const inputs = {
    At: at.toISOString(),
    SnpReport: text(snp?.report),
    Vcek: text(snp?.vek),
    Quote: text(tdx.quote),
    IntelRoot: text(tdx.root),
    PckChain: encodeURIComponent(tdx.platformChain),
    TcbInfo: text(c.tcbInfo),
    QeIdentity: text(c.qeIdentity),
    TcbChain: encodeURIComponent(c.issuerChain),
    PckCrl: text(c.pckCrl),
    RootCrl: text(c.rootCrl),
  }
  writeFileSync(file, JSON.stringify(inputs))
  const child = spawn(binary, [file], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const contestant = (name: string, which: string): Contestant => ({
    name,
    run: async (ms) => {
      child.stdin.write(`${which} ${ms}\n`)
      const { value } = await answers.next()
      const answer = JSON.parse(value ?? '{"error":"it ended"}') as Slice & { error?: string }
      if (answer.error !== undefined) throw new Error(`${name}: ${answer.error}`)
      return answer
    },
  })
  return {
    list: [contestant(GO_PEERS.tdx, 'tdx'), ...(snp ? [contestant(GO_PEERS.sev, 'snp')] : [])],
    close: () => {
      child.stdin.end()
      close()
    },
  }
}
