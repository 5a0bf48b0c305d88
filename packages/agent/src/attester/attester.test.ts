import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { GuestClient } from '@vouchsafe/client'
import {
  Secret,
  enrolmentProof,
  enrolmentTranscript,
  evidenceBinding,
  fromBase64,
  fromBase64Url,
  parseDigest,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
  workloadEvidenceBinding,
  x509,
} from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import { type SimulatedGuest, startSimulatedGuest } from '@vouchsafe/simulator'
import { Tpm, makeCredential, parseTpmPublic, parseTpmQuote } from '@vouchsafe/tpm'
import { parseImaLog, replayIma } from '@vouchsafe/tpm/eventlog'
import { ALL_PCRS, verifyTpmQuote } from '@vouchsafe/tpm/verify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { imaRecord } from '../../../tpm/src/testing/ima-record.ts'
import { Attester } from './attester.ts'
import { enrol } from './enrol.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'vsat-'))
let guest: SimulatedGuest
let attester: Attester
beforeAll(async () => {
  guest = await startSimulatedGuest({ directory: path.join(directory, 'g') })
  attester = new Attester({ tpm: guest.tpm, bootLog: guest.bootLog, imaLog: '/no/such/list' })
})
afterAll(async () => {
  await guest?.stop()
  rmSync(directory, { recursive: true, force: true })
})

const BINDING = utf8('0123456789abcdef0123456789abcdef')

describe('identity', () => {
  test('is the same every time, also after a reboot, with nothing kept in the TPM or on disk', async () => {
    const first = await attester.identity()
    await guest.reboot()
    expect(await attester.identity()).toEqual(first)
    await using tpm = await Tpm.open(guest.tpm)
    for (const range of [0x80000000, 0x81000000]) {
      const handles = await tpm.getCapability('handles', range, 16)
      expect(handles.filter((handle) => handle >>> 24 === range >>> 24)).toEqual([])
    }
  })

  test('shows the certificate of an endorsement key that this TPM makes', async () => {
    const { ekCertificate, ekPublic } = await attester.identity()
    const { certificate } = x509.readEkCertificate(ekCertificate)
    expect(parseTpmPublic(ekPublic).attributes).toMatchObject({ restricted: true, decrypt: true, sign: false })
    expect(toHex(certificate.der)).toBe(toHex(ekCertificate))
  })

  test('has an attestation key that is restricted, fixed to its TPM, for signing only', async () => {
    expect(parseTpmPublic((await attester.identity()).akPublic)).toMatchObject({
      type: 'ecc',
      curve: 'P-256',
      attributes: {
        restricted: true,
        sign: true,
        decrypt: false,
        fixedTPM: true,
        fixedParent: true,
        sensitiveDataOrigin: true,
      },
    })
  })
})

describe('evidence', () => {
  test('is a quote over all 24 registers that commits to the binding', async () => {
    const evidence = await attester.collect(BINDING, utf8('launch log'))
    const values = new Map(
      Object.entries(evidence.registers).map(([n, hex]) => [Number(n), new Uint8Array(Buffer.from(hex, 'hex'))]),
    )
    const verified = await verifyTpmQuote(
      {
        attest: fromBase64Url(evidence.quote.attest),
        signature: fromBase64Url(evidence.quote.signature),
        akPublic: (await attester.identity()).akPublic,
        pcrs: { bank: 'sha256', values },
        allowedBanks: ['sha256'],
        requiredPcrs: ALL_PCRS,
        expectedExtraData: BINDING,
      },
      nodeCrypto,
    )
    expect(verified.resetCount).toBeGreaterThan(0)
    expect(fromBase64Url(evidence.launchLog)).toEqual(utf8('launch log'))
  })

  test('A16 that a workload asks for never commits to what a broker expects of the agent', () => {
    const request = {
      role: 'attester',
      brokerId: 'broker:x',
      tenant: 'clinic-a',
      session: 's'.repeat(16),
      nonce: 'n',
      agreement: parseDigest(`sha256:${'0'.repeat(64)}`),
      sealKey: 'k',
      proofKey: 'p',
    } as const
    const agents = evidenceBinding(request, nodeCrypto)
    // even a workload that asks for exactly those bytes gets evidence of its own kind
    for (const asked of [agents, utf8(JSON.stringify(request)), new Uint8Array()])
      expect(workloadEvidenceBinding(asked, nodeCrypto)).not.toEqual(agents)
  })
})

describe('what the kernel measured after the boot', () => {
  const record = (file: string) => imaRecord({ hash: 'sha256', digest: new Uint8Array(32).fill(7), path: file })
  const [first, second] = [record('boot_aggregate'), record('/usr/bin/node')]
  const file = path.join(directory, 'binary_runtime_measurements')
  const measure = async (tpm: Tpm, ...digests: readonly Uint8Array[]) => {
    for (const digest of digests) await tpm.pcrExtend(10, [{ hash: 'sha256', digest }])
  }

  test('is not looked for where it measured nothing', async () => {
    await guest.reboot()
    expect(await attester.collect(BINDING, new Uint8Array())).not.toHaveProperty('imaLog')
  })

  test('is sent with a quote that holds all of it, however much was measured in between', async () => {
    await guest.reboot()
    const lively = new Attester({ tpm: guest.tpm, bootLog: guest.bootLog, imaLog: file })
    await lively.withTpm((tpm) => measure(tpm, first.digest))
    writeFileSync(file, Buffer.concat([first.bytes, second.bytes])) // on the list before it is in the register
    const collecting = lively.collect(BINDING, new Uint8Array())
    await lively.withTpm((tpm) => measure(tpm, second.digest))
    const { imaLog = '', registers } = await collecting
    const replayed = replayIma(parseImaLog(fromBase64Url(imaLog)), 'sha256', nodeCrypto)
    expect(toHex(replayed.registers.get(10)!)).toBe(registers['10'])
  })

  test('is sent as it is when it never agrees: the broker says what to make of it', async () => {
    await guest.reboot()
    const lying = new Attester({ tpm: guest.tpm, bootLog: guest.bootLog, imaLog: file })
    await lying.withTpm((tpm) => measure(tpm, first.digest))
    writeFileSync(file, 'no list')
    expect((await lying.collect(BINDING, new Uint8Array())).imaLog).toBe(toBase64Url(utf8('no list')))
  })

  test('is the operator’s mistake when it is not there', async () => {
    await guest.reboot()
    await attester.withTpm((tpm) => measure(tpm, first.digest))
    await expect(attester.collect(BINDING, new Uint8Array())).rejects.toMatchObject({
      code: 'config.malformed',
      message: expect.stringContaining('/no/such/list'),
    })
    await guest.reboot()
  })
})

describe('enrolment', () => {
  const ticket = () => new Secret(utf8('ticket'))
  const secret = createHash('sha256').update('credential').digest()

  /** A broker's half of the exchange; keeps what it is sent. */
  async function brokerFor(challenged: Attester) {
    const { ekPublic, akName } = await challenged.identity()
    const { credentialBlob, encryptedSecret } = makeCredential({
      endorsementKey: parseTpmPublic(ekPublic),
      objectName: akName,
      credential: secret,
    })
    const sent: { ticket?: string; proof?: string; quote?: { attest: string } }[] = []
    const client = {
      pin: { id: 'broker:x', tenant: 'clinic-a' },
      beginEnrolment: async (body: object) => {
        sent.push(body)
        return { handle: 'h', nonce: 'n', credential: toBase64(credentialBlob), secret: toBase64(encryptedSecret) }
      },
      finishEnrolment: async (body: object) => {
        sent.push(body)
        return { machine: 'tpm:x', class: 'simulated', checkpoint: '' }
      },
    }
    return { client: client as unknown as GuestClient, sent }
  }

  test('B14 proves the credential over a transcript of this exchange, and quotes over the same', async () => {
    const { client, sent } = await brokerFor(attester)
    await enrol(attester, client, ticket())
    const identity = await attester.identity()
    const ekCertificateDigest = new Uint8Array(createHash('sha256').update(identity.ekCertificate).digest())
    const subject = {
      brokerId: 'broker:x',
      tenant: 'clinic-a',
      akName: identity.akName,
      ekCertificateDigest,
      nonce: 'n',
    }
    const [begin, finish] = sent
    expect(begin?.ticket).toBe('ticket')
    expect(fromBase64(finish?.proof ?? '')).toEqual(enrolmentProof(secret, subject, nodeCrypto))
    expect(parseTpmQuote(fromBase64(finish?.quote?.attest ?? '')).extraData).toEqual(
      enrolmentTranscript(subject, nodeCrypto),
    )
  })

  test('A07 never sends the activated credential, so a relay learns nothing that it could use', async () => {
    const { client, sent } = await brokerFor(attester)
    await enrol(attester, client, ticket())
    const all = JSON.stringify(sent)
    for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const)
      expect(all).not.toContain(secret.toString(encoding))
  })

  test('A09 cannot answer a challenge that was made for another TPM', async () => {
    await using other = await startSimulatedGuest({ directory: path.join(directory, 'other') })
    const { client } = await brokerFor(
      new Attester({ tpm: other.tpm, bootLog: other.bootLog, imaLog: '/no/such/list' }),
    )
    await expect(enrol(attester, client, ticket())).rejects.toMatchObject({ code: 'tpm.response' })
  })
})

test('a TPM that nobody certified is named as such', async () => {
  const { startSwtpm } = await import('../../../tpm/src/testing/swtpm.ts')
  const swtpm = await startSwtpm()
  try {
    const bare = new Attester({ tpm: swtpm.address, bootLog: '/dev/null', imaLog: '/dev/null' })
    await expect(bare.identity()).rejects.toMatchObject({ code: 'tpm.no-endorsement' })
  } finally {
    await swtpm.stop()
  }
})

test('a boot log that is not there is the operator’s mistake, and says which file', async () => {
  const lost = new Attester({ tpm: guest.tpm, bootLog: '/no/such/log', imaLog: '/no/such/list' })
  await expect(lost.collect(BINDING, new Uint8Array())).rejects.toMatchObject({
    code: 'config.malformed',
    message: expect.stringContaining('/no/such/log'),
  })
})
