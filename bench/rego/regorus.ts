import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'
import type { Peer } from './contestant.ts'
import { lineProtocol } from './line-protocol.ts'

const PROJECT = path.resolve(import.meta.dirname, '../peers/regorus-eval')
const BINARY = path.join(process.env['CARGO_TARGET_DIR'] ?? path.join(PROJECT, 'target'), 'release/regorus-eval')

/**
 * regorus, a Rego engine in Rust, in a process of its own: its interpreter, or its virtual machine for compiled policies.
 * Not built here, since it takes many minutes: `cargo build --release` in `bench/peers/regorus-eval`.
 */
export function regorusPeer(kind: 'engine' | 'vm'): Peer {
  if (!existsSync(BINARY)) throw new Error(`not built: cargo build --release in ${path.relative('.', PROJECT)}`)
  const child = spawn(BINARY, [kind], { stdio: ['pipe', 'pipe', 'inherit'] })
  return lineProtocol(`regorus ${kind}`, child, () => undefined)
}
