import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { bareSqlite } from '../stores/databases.ts'

/** The least that a recorded, attested release can cost: check one ECDSA P-256 signature, commit one row durably. */
export function physicalLimit(directory: string): { run(): void; close(): void } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const data = new Uint8Array(1024).fill(7)
  const signature = sign('sha256', data, privateKey)
  const bare = bareSqlite(directory)
  return {
    run() {
      if (!verify('sha256', data, publicKey, signature)) throw new Error('the limit’s own signature check fails')
      bare.run()
    },
    close: bare.close,
  }
}
