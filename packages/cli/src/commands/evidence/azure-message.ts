import { setTimeout as sleep } from 'node:timers/promises'
import { evidence, toBase64Url, toHex, VouchsafeError } from '@vouchsafe/core'
import { nodeCrypto } from '@vouchsafe/core/node'
import type { Tpm } from '@vouchsafe/tpm'
import { type NvFlag, nvAttributes, parseTpmSignature, TpmError } from '@vouchsafe/tpm/codec'
import { UsageError, withHint } from '../../output.ts'

export const AZURE = evidence.AZURE_VTPM

const USER_DATA = 64
const ATTEMPTS = 20
const PAUSE_MS = 500

export interface AzureRequest {
  readonly nonce: Uint8Array
  /** 64 bytes for the paravisor to put into its report; left out, whatever is there. */
  readonly userData?: Uint8Array
  /** What endorses the CPU: the chip's certificate in DER (SNP), or the quote made from the report (TDX). */
  readonly vek?: Uint8Array
  readonly tdQuote?: Uint8Array
}

/**
 * What a confidential VM of Azure shows, in the message of Trustee's attesters: the paravisor's report out of the vTPM, and a
 * quote by the key that the report names. Nothing is verified.
 */
export async function azureMessage(
  tpm: Tpm,
  request: AzureRequest,
  pause: (ms: number) => Promise<unknown> = sleep,
): Promise<string> {
  const key = await onAzure(() => tpm.openKey(AZURE.key))
  const report =
    request.userData === undefined
      ? await onAzure(() => tpm.nvRead(AZURE.report))
      : await reportOver(tpm, request.userData, pause)
  const { kind } = evidence.parseHclReport(report)
  const endorsement = endorsementOf(kind, request)
  const quote = await tpm.quote({ key, bank: 'sha256', extraData: request.nonce })
  const signature = parseTpmSignature(quote.signature)
  if (signature.scheme !== 'rsassa' || signature.hash !== 'sha256')
    throw new VouchsafeError(
      'evidence.unsupported',
      `the key at 0x${AZURE.key.toString(16)} is not Azure’s: not RSASSA`,
    )
  const pcrs = Array.from(quote.pcrs.values.values(), toHex)
  return JSON.stringify({
    version: 1,
    tpm_quote: { signature: toHex(signature.signature), message: toHex(quote.attest), pcrs },
    hcl_report: toBase64Url(report),
    ...endorsement,
  })
}

function endorsementOf(kind: 'snp' | 'tdx', { vek, tdQuote }: AzureRequest) {
  if (kind === 'snp') {
    if (tdQuote !== undefined) throw new UsageError('this machine has an AMD CPU', 'leave --td-quote out')
    if (vek === undefined)
      throw new UsageError(
        'the report is of an AMD CPU: the certificate of its chip is missing',
        'ask the metadata service, http://169.254.169.254/metadata/THIM/amd/certification, and give it with --tee-certificate FILE',
      )
    return { vcek: pemOf(vek) }
  }
  if (vek !== undefined) throw new UsageError('this machine has an Intel CPU', 'leave --tee-certificate out')
  if (tdQuote === undefined)
    throw new UsageError(
      'the report is of an Intel CPU: the quote made from it is missing',
      'have the metadata service make it, http://169.254.169.254/acc/tdquote, and give it with --td-quote FILE',
    )
  return { td_quote: toBase64Url(tdQuote) }
}

/** Writes the data and waits until the paravisor has made a report over them: an older report answers another request. */
async function reportOver(
  tpm: Tpm,
  userData: Uint8Array,
  pause: (ms: number) => Promise<unknown>,
): Promise<Uint8Array> {
  if (userData.length !== USER_DATA)
    throw new UsageError(`user data of ${userData.length} bytes`, `the paravisor takes ${USER_DATA}`)
  await onAzure(() => writeUserData(tpm, userData))
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const report = await onAzure(() => tpm.nvRead(AZURE.report))
    const found = evidence.parseRuntimeData(evidence.parseHclReport(report).runtimeData).userData
    if (found !== undefined && nodeCrypto.equal(found, userData)) return report
    await pause(PAUSE_MS)
  }
  throw withHint(
    new VouchsafeError('evidence.stale', 'the paravisor made no report over these bytes'),
    'another process may write user data too; ask again, or leave --tee-nonce out',
  )
}

const USER_DATA_FLAGS: readonly NvFlag[] = ['ownerRead', 'ownerWrite', 'authRead', 'authWrite']

async function writeUserData(tpm: Tpm, userData: Uint8Array): Promise<void> {
  try {
    await tpm.openNv(AZURE.userData)
  } catch (error) {
    if (!isAbsent(error)) throw error
    const attributes = nvAttributes(USER_DATA_FLAGS, 'ordinary')
    const area = { nvIndex: AZURE.userData, nameAlg: 'sha256', attributes, authPolicy: new Uint8Array() } as const
    await tpm.nvDefine({ public: { ...area, dataSize: USER_DATA } })
  }
  await tpm.nvWrite(AZURE.userData, userData)
}

/** What only Azure's vTPM has. */
async function onAzure<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    throw isAbsent(error)
      ? withHint(error, 'this is no confidential VM of Azure: collect without --format azure')
      : error
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof TpmError && error.response?.name === 'TPM_RC_HANDLE'
}

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}
