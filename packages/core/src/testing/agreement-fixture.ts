import { generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { nodeCrypto } from '../../node/index.ts'
import { type Agreement, type AgreementBody, parseAgreement } from '../agreement/agreement.ts'
import { type Statement, signStatement } from '../agreement/statement.ts'
import { fromBase64Url, utf8 } from '../base/encoding.ts'
import { type P256Jwk, formatOwnerKey } from '../base/keys.ts'
import type { Claims } from '../claims/claims.ts'

/** Keys and an agreement of two clinics, made anew for each test file: nothing here is a secret of anybody's. */
export interface OwnerFixture {
  readonly id: string
  readonly key: string
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

export function newOwner(id: string): OwnerFixture {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const x = publicKey.export({ format: 'jwk' }).x ?? ''
  return { id, key: formatOwnerKey(fromBase64Url(x)), sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
}

export function newP256(): { readonly jwk: P256Jwk; readonly privateKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
  return { jwk: { kty: 'EC', crv: 'P-256', x, y }, privateKey }
}

export const IMAGE = `sha256:${'1a'.repeat(32)}`
const PINNED = 'aa'.repeat(32)
const UNTOUCHED = '00'.repeat(32)

export const clinicA: OwnerFixture = newOwner('clinic-a')
export const clinicB: OwnerFixture = newOwner('clinic-b')

function party(owner: OwnerFixture) {
  const broker = {
    id: `broker:${'A'.repeat(43)}`,
    tenant: owner.id,
    url: 'https://127.0.0.1:1',
    identity: 'AAAA',
    sealing: newP256().jwk,
    decisions: owner.key,
    log: 'log+00000000+AAAA',
  }
  return { id: owner.id, keys: [owner.key], broker }
}

/** An agreement that everything in `goodClaims` fits; `changes` replace members. */
export function agreementBody(changes: Partial<AgreementBody> = {}): AgreementBody {
  return {
    vouchsafe: 'agreement/v1',
    name: 'overlap',
    purpose: 'count shared patients',
    previous: null,
    notBefore: '2026-01-01T00:00:00Z',
    expires: '2027-01-01T00:00:00Z',
    owners: [party(clinicA), party(clinicB)],
    quorum: 2,
    workload: { image: IMAGE },
    launch: {
      args: ['/app/run'],
      env: {},
      debug: false,
      network: 'none',
      output: 'closed',
      restart: 'never',
      isolation: ['runc'],
      capabilities: [],
      mounts: [],
    },
    environment: {
      leastClass: 'simulated',
      hostExcluded: false,
      registers: { '0': [PINNED] },
      dangerouslyUnpinnedRegisters: [],
    },
    grants: [
      {
        id: 'a-key',
        owner: 'clinic-a',
        resources: ['patients/key'],
        when: [{ op: 'at-least-class', value: 'simulated' }],
      },
    ],
    result: { recipients: [{ id: 'clinic-a', key: newP256().jwk }], minimumCount: 10 },
    leaseSeconds: 600,
    ...changes,
  }
}

export function agreement(changes: Partial<AgreementBody> = {}): Agreement {
  return parseAgreement(utf8(JSON.stringify(agreementBody(changes))), nodeCrypto)
}

/** Claims that fit `agreement()`. */
export function goodClaims(of: Agreement): Claims {
  const registers: Record<string, string> = {}
  for (let n = 0; n < 16; n++) registers[String(n)] = n === 0 ? PINNED : n === 13 ? 'cc'.repeat(32) : UNTOUCHED
  return {
    format: 'tpm',
    class: 'simulated',
    simulated: true,
    hostExcluded: false,
    machine: 'tpm:machine',
    anchor: 'simulator',
    anchors: ['simulator'],
    boot: { registers, resetCount: 1, restartCount: 0 },
    platform: {
      vendor: 'none',
      family: '',
      chip: '',
      firmware: '',
      microcode: 0,
      tcbStatus: '',
      advisories: [],
      tcbDate: '',
      measurement: '',
      hostMayInspect: true,
      fields: {},
      hostChosen: {},
    },
    launch: {
      agreement: of.digest,
      image: IMAGE,
      imageReference: 'overlap',
      args: ['/app/run'],
      env: {},
      debug: false,
      network: 'none',
      output: 'closed',
      restart: 'never',
      isolation: 'runc',
      capabilities: [],
      mounts: [],
    },
  }
}

export function approval(
  of: Agreement,
  by: OwnerFixture,
  changes: Partial<Extract<Statement, { says: 'approve' }>> = {},
) {
  const statement: Statement = {
    says: 'approve',
    agreement: of.digest,
    owner: by.id,
    key: by.key,
    purpose: of.body.purpose,
    issued: '2026-02-01T00:00:00Z',
    expires: '2026-03-01T00:00:00Z',
    ...changes,
  }
  return { statement, envelope: signStatement(statement, by.sign) }
}
