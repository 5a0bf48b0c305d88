import { createPublicKey } from 'node:crypto'
import { SIMULATOR_OID, evidence } from '@vouchsafe/core'
import * as kit from '@vouchsafe/testkit'
import { TEMPLATES, Tpm, encodeTpmPublic, spkiOfTpmPublic } from '@vouchsafe/tpm'
import { nvAttributes } from '@vouchsafe/tpm/codec'

/** What clouds leave in their vTPMs, in a software TPM: by makers of our own, marked as a simulator's. */
export const SIMULATED: readonly kit.TestExtension[] = [{ oid: SIMULATOR_OID, value: Uint8Array.of(5, 0) }]

export const PROJECT = 'clinic-project'
export const VM = 'A-1'

const { AZURE_VTPM, GCE_VTPM } = evidence
const w = kit.derWriter

async function keep(tpm: Tpm, nvIndex: number, data: Uint8Array): Promise<void> {
  const attributes = nvAttributes(['ownerRead', 'ownerWrite', 'authRead', 'authWrite'], 'ordinary')
  const area = { nvIndex, nameAlg: 'sha256', attributes, authPolicy: new Uint8Array(), dataSize: data.length } as const
  await tpm.nvUndefine({ index: nvIndex }).catch(() => undefined)
  await tpm.nvDefine({ public: area })
  await tpm.nvWrite(nvIndex, data)
}

const keyOf = (spki: Uint8Array) =>
  ({ spki, publicKey: createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }) }) as kit.TestKey

/** A software TPM keeps 2,048 bytes an index, Azure's 2,600: the endorsement key's entry is left out. */
export function runtimeDataOf(key: kit.TestKey, members: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const { keys } = JSON.parse(Buffer.from(kit.makeRuntimeData(key)).toString()) as { keys: unknown[] }
  return kit.makeRuntimeData(key, { keys: keys.slice(0, 1), ...members })
}

/** Has the paravisor of a VM keep its key in the vTPM; then its report can be left there. */
export async function becomeAzureVm(address: string): Promise<kit.TestKey> {
  await using tpm = await Tpm.open(address)
  await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akRsa2048 })
  await tpm.persist({ object: key, handle: AZURE_VTPM.key })
  return keyOf(spkiOfTpmPublic(key.public))
}

export async function leaveHclReport(address: string, report: Uint8Array): Promise<void> {
  await using tpm = await Tpm.open(address)
  await keep(tpm, AZURE_VTPM.report, report)
}

/** What the paravisor was asked to report on. */
export async function readUserData(address: string): Promise<Uint8Array> {
  await using tpm = await Tpm.open(address)
  return await tpm.nvRead(AZURE_VTPM.userData) // awaited here: the TPM is closed on the way out
}

/** Google certifies the key that its template makes, for an instance of a project. */
export async function becomeGceVm(address: string, issuer: kit.TestCertificate): Promise<kit.TestKey> {
  await using tpm = await Tpm.open(address)
  await using key = await tpm.createPrimary({ hierarchy: 'endorsement', template: TEMPLATES.akEccP256 })
  const ak = keyOf(spkiOfTpmPublic(key.public))
  await keep(tpm, GCE_VTPM.ecc.template, encodeTpmPublic(TEMPLATES.akEccP256))
  await keep(tpm, GCE_VTPM.ecc.certificate, akCertificate(issuer, ak))
  return ak
}

export function akCertificate(issuer: kit.TestCertificate, ak: kit.TestKey, project: string = PROJECT): Uint8Array {
  const instance = w.sequence(
    w.utf8String('europe-west4-a'),
    w.integer(117478743145),
    w.utf8String(project),
    w.integer(5780156274199835632n),
    w.utf8String('vm-1'),
    w.explicit(0, w.sequence(w.explicit(0, w.integer(2)), w.explicit(1, w.boolean(true)))),
  )
  const extensions = [kit.keyUsage('digitalSignature'), { oid: '1.3.6.1.4.1.11129.2.1.21', value: instance }]
  return kit.makeCertificate({ subject: [], issuer, key: ak, extensions: [...extensions, ...SIMULATED] }).der
}

/** Google's root for vTPMs, of our own making. */
export const makeGoogleRoot = (): kit.TestCertificate =>
  kit.makeCertificate({ subject: 'simulated vTPM root', extensions: [...kit.AUTHORITY, ...SIMULATED] })
