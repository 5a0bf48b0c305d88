import { encodeTpmSignature } from '@vouchsafe/tpm/codec'
import { z } from 'zod'
import { VouchsafeError } from '../../base/errors.ts'
import { parsePem } from '../../x509/index.ts'
import type { AzureEvidence } from '../azure-vtpm/verify-azure-vtpm.ts'
import type { VtpmEvidence } from '../vtpm-quote.ts'
import { base64Bytes, byteArray, hexBytes, parseMessage } from './message-bytes.ts'

const MAX_TEXT = 128 * 1024
/** Early messages write bytes as numbers, later ones as text. */
const bytes = z.union([byteArray(16_384), z.string().max(MAX_TEXT)])
const quote = z.object({ signature: bytes, message: bytes, pcrs: z.array(bytes).max(24) })
const azureSchema = z.object({
  tpm_quote: quote.optional(),
  quote: quote.optional(),
  hcl_report: bytes.optional(),
  report: bytes.optional(),
  vcek: z.string().max(MAX_TEXT).optional(),
  td_quote: bytes.optional(),
})

/** A confidential VM of Azure as Trustee's attesters show it, in any of the three versions of their message. */
export function readAzureMessage(file: Uint8Array): AzureEvidence {
  const message = parseMessage(file, azureSchema, 'Azure message')
  const need = <T>(name: string, value: T | undefined): T => {
    if (value === undefined) throw new VouchsafeError('input.malformed', `Azure message: ${name} is missing`)
    return value
  }
  const shown = need('tpm_quote', message.tpm_quote ?? message.quote)
  const { td_quote: tdQuote } = message
  return {
    ...vtpmEvidence('Azure message', shown),
    hclReport: decode(need('hcl_report', message.hcl_report ?? message.report), base64Bytes, 'hcl_report'),
    hardware:
      tdQuote === undefined
        ? { kind: 'snp', vek: certificate(need('vcek', message.vcek)) }
        : { kind: 'tdx', quote: decode(tdQuote, base64Bytes, 'td_quote') },
  }
}

/** The signature comes without the TPM's header: it can only be RSASSA over SHA-256, which is what the header then says. */
function vtpmEvidence(what: string, shown: z.output<typeof quote>): VtpmEvidence {
  const signature = decode(shown.signature, hexBytes, `${what}: signature`)
  return {
    attest: decode(shown.message, hexBytes, `${what}: message`),
    signature: encodeTpmSignature({ scheme: 'rsassa', hash: 'sha256', signature: new Uint8Array(signature) }),
    registers: shown.pcrs.map((value, n) => decode(value, hexBytes, `${what}: pcrs[${n}]`)),
  }
}

const tpmSchema = z.object({
  ak_public: z.string().max(4096),
  tpm_quote: z.object({
    signature: z.string().max(4096),
    message: z.string().max(4096),
    pcrs: z.array(z.string().max(64)).max(24),
  }),
})

/** A bare TPM as Trustee's attester shows it. Nothing in it ties the key to a TPM: trust in the key has to come from outside. */
export function readTpmMessage(file: Uint8Array): VtpmEvidence & { readonly akSpki: Uint8Array } {
  const { ak_public: ak, tpm_quote: shown } = parseMessage(file, tpmSchema, 'TPM message')
  return {
    akSpki: base64Bytes(ak, 'TPM message: ak_public'),
    attest: base64Bytes(shown.message, 'TPM message: message'),
    signature: base64Bytes(shown.signature, 'TPM message: signature'),
    registers: shown.pcrs.map((value, n) => hexBytes(value, `TPM message: pcrs[${n}]`)),
  }
}

function decode(
  value: readonly number[] | string,
  fromText: (text: string, what: string) => Uint8Array,
  what: string,
): Uint8Array {
  return typeof value === 'string' ? fromText(value, what) : Uint8Array.from(value)
}

function certificate(text: string): Uint8Array {
  if (!text.startsWith('-----')) return base64Bytes(text, 'Azure message: vcek')
  const [der] = parsePem(text, 'CERTIFICATE')
  if (der === undefined) throw new VouchsafeError('endorsement.malformed', 'Azure message: vcek: no certificate')
  return der
}
